/**
 * Writes the server's AppRouter as a type that stands alone. The compiler's own declarations would lead through all of the server, down to
 * its database; here every procedure's input and output is spelled out instead. Subscriptions are left out: they need a session's cookie.
 */
import { join } from 'node:path';
import ts from 'typescript';

const folder = join(import.meta.dirname, '..');

/** @throws Error: the router's type has a part that cannot be spelled out */
export function routerTypes(): string {
  const source = join(folder, 'src/router.ts');
  const { config } = ts.readConfigFile(join(folder, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [source] }, ts.sys, folder);
  const program = ts.createProgram([source], options);
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(source);
  const module = file && checker.getSymbolAtLocation(file);
  const exported = module && checker.getExportsOfModule(module).find(({ name }) => name === 'AppRouter');
  if (!exported) throw new Error(`${source} exports no AppRouter.`);
  const router = checker.getDeclaredTypeOfSymbol(exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported);
  const write = createWriter(checker);
  const record = write.record(write.at(router, '_def', 'record'), 1);
  const errorShape = write.type(write.at(router, '_def', '_config', '$types', 'errorShape'), 1);
  return `import type { TRPCBuiltRouter, TRPCMutationProcedure, TRPCQueryProcedure } from '@trpc/server';

interface Root {
  ctx: object;
  meta: object;
  errorShape: ${errorShape};
  transformer: false;
}

/** What the server's procedures take and give. */
export type AppRouter = TRPCBuiltRouter<Root, ${record}>;
`;
}

function createWriter(checker: ts.TypeChecker) {
  function at(type: ts.Type, ...path: string[]): ts.Type {
    return path.reduce((from, name) => {
      const property = checker.getPropertyOfType(from, name);
      if (!property) throw new Error(`There is no ${name} in ${checker.typeToString(from)}.`);
      return checker.getTypeOfSymbol(property);
    }, type);
  }

  function record(type: ts.Type, depth: number): string {
    const entries = checker.getPropertiesOfType(type).flatMap((property) => {
      const value = checker.getTypeOfSymbol(property);
      const isProcedure = checker.getPropertyOfType(value, '_def') !== undefined;
      const written = isProcedure ? procedure(value, depth + 1) : record(value, depth + 1);
      return written === '' ? [] : [`${property.name}: ${written};`];
    });
    return block(entries, depth);
  }

  /** '' for a subscription. */
  function procedure(value: ts.Type, depth: number): string {
    const kind = checker.typeToString(at(value, '_def', 'type'));
    if (kind === '"subscription"') return '';
    const types = at(value, '_def', '$types');
    const parts = ['input', 'output'].map((name) => `${name}: ${type(at(types, name), depth + 1)};`);
    return `TRPC${kind === '"query"' ? 'Query' : 'Mutation'}Procedure<${block([...parts, 'meta: object;'], depth)}>`;
  }

  function type(given: ts.Type, depth: number): string {
    if (given.flags & plain) return checker.typeToString(given, undefined, ts.TypeFormatFlags.NoTruncation);
    if (given.isUnion()) return union(given.types, depth);
    if (checker.isTupleType(given))
      return `[${checker
        .getTypeArguments(given as ts.TypeReference)
        .map((one) => type(one, depth))
        .join(', ')}]`;
    if (checker.isArrayType(given))
      return `Array<${checker
        .getTypeArguments(given as ts.TypeReference)
        .map((one) => type(one, depth))
        .join()}>`;
    if (given.symbol?.name === 'Date') return 'Date';
    if (given.getCallSignatures().length > 0) throw new Error(`A function crosses no wire: ${checker.typeToString(given)}`);
    if (given.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) return object(given, depth);
    throw new Error(`This type cannot be spelled out: ${checker.typeToString(given)}`);
  }

  /** `true | false` is boolean again. */
  function union(types: readonly ts.Type[], depth: number): string {
    const written = types.map((one) => type(one, depth));
    const both = written.includes('true') && written.includes('false');
    return [...new Set(both ? ['boolean', ...written.filter((one) => one !== 'true' && one !== 'false')] : written)].join(' | ');
  }

  function object(given: ts.Type, depth: number): string {
    const indexes = checker
      .getIndexInfosOfType(given)
      .map((index) => `[name: ${type(index.keyType, depth)}]: ${type(index.type, depth + 1)};`);
    const properties = checker.getPropertiesOfType(given).map((property) => {
      const name = /^[a-z_$][\w$]*$/i.test(property.name) ? property.name : JSON.stringify(property.name);
      return `${name}${property.flags & ts.SymbolFlags.Optional ? '?' : ''}: ${type(checker.getTypeOfSymbol(property), depth + 1)};`;
    });
    return block([...indexes, ...properties], depth);
  }

  return { at, record, type };
}

const plain =
  ts.TypeFlags.Any |
  ts.TypeFlags.Unknown |
  ts.TypeFlags.Never |
  ts.TypeFlags.Void |
  ts.TypeFlags.Undefined |
  ts.TypeFlags.Null |
  ts.TypeFlags.String |
  ts.TypeFlags.Number |
  ts.TypeFlags.Boolean |
  ts.TypeFlags.StringLiteral |
  ts.TypeFlags.NumberLiteral |
  ts.TypeFlags.BooleanLiteral |
  ts.TypeFlags.TemplateLiteral;

function block(entries: readonly string[], depth: number): string {
  if (entries.length === 0) return '{}';
  const indent = '  '.repeat(depth);
  return `{\n${entries.map((entry) => `${indent}${entry}\n`).join('')}${'  '.repeat(depth - 1)}}`;
}

/** `npx --yes pnpm@12.21.0 --filter @synthstack/client build`: the package as it is published, in packages/client/dist. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import manifest from '../package.json' with { type: 'json' };
import { routerTypes } from './router-types.ts';

const folder = join(import.meta.dirname, '..');
const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
};

/** @param out  the folder to write to; it is made */
export function buildClient(out = join(folder, 'dist')): void {
  const source = readFileSync(join(folder, 'src/index.ts'), 'utf8');
  const given = { fileName: 'index.ts', compilerOptions, reportDiagnostics: true };
  const script = ts.transpileModule(source, given);
  const types = ts.transpileDeclaration(source, {
    ...given,
    compilerOptions: { ...compilerOptions, declaration: true, isolatedDeclarations: true },
  });
  const wrong = [...(script.diagnostics ?? []), ...(types.diagnostics ?? [])];
  if (wrong.length > 0)
    throw new Error(
      ts.formatDiagnostics(wrong, { getCurrentDirectory: () => folder, getCanonicalFileName: String, getNewLine: () => '\n' }),
    );
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'index.js'), script.outputText);
  writeFileSync(join(out, 'index.d.ts'), withOptionalSdks(types.outputText).replaceAll("'./router.ts'", "'./router.js'"));
  writeFileSync(join(out, 'router.d.ts'), routerTypes());
  writeFileSync(join(out, 'package.json'), `${JSON.stringify(published(), null, 2)}\n`);
  copyFileSync(join(folder, 'README.md'), join(out, 'README.md'));
  copyFileSync(join(folder, '../../LICENSE'), join(out, 'LICENSE'));
}

/** Without what only this repository needs. */
function published(): object {
  const { private: _private, scripts: _scripts, devDependencies: _devDependencies, ...kept } = manifest;
  return { ...kept, exports: { '.': { types: './index.d.ts', default: './index.js' } } };
}

/** Whoever has installed only one of the SDKs, or none, shall not be asked for the types of the others. */
const withOptionalSdks = (text: string): string =>
  text.replace(/^import type .* from '(openai|@anthropic-ai\/sdk)';$/gm, '// @ts-ignore: it may not be installed\n$&');

if (import.meta.main) buildClient();

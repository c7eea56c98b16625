/**
 * Writes the next migration: `npx --yes pnpm@12.21.0 migration <name>` compares schema.ts with the last snapshot and
 * adds one file with the statements for both engines. `--check` only says whether one is missing.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { generateDrizzleJson, generateMigration, generateSQLiteDrizzleJson, generateSQLiteMigration } from 'drizzle-kit/api';
import { schema } from '../src/db/schema.ts';

const folder = new URL('../src/db/migrations/', import.meta.url);
const snapshotFile = new URL('snapshot.json', folder);

type Snapshots = { sqlite: Awaited<ReturnType<typeof generateSQLiteDrizzleJson>>; postgres: ReturnType<typeof generateDrizzleJson> };
const before: Snapshots = existsSync(snapshotFile)
  ? JSON.parse(readFileSync(snapshotFile, 'utf8'))
  : { sqlite: await generateSQLiteDrizzleJson({}), postgres: generateDrizzleJson({}) };
const now: Snapshots = {
  sqlite: await generateSQLiteDrizzleJson(schema('sqlite'), before.sqlite.id),
  postgres: generateDrizzleJson(schema('postgres'), before.postgres.id),
};
const sqlite = (await generateSQLiteMigration(before.sqlite, now.sqlite)).map(withWholeExpressions);
const postgres = await generateMigration(before.postgres, now.postgres);

if (sqlite.length + postgres.length === 0) {
  console.log('The migrations agree with schema.ts.');
} else if (process.argv[2] === '--check' || !process.argv[2]) {
  console.error('schema.ts has changes without a migration: run `npx --yes pnpm@12.21.0 migration <name>`.');
  process.exitCode = 1;
} else {
  write(process.argv[2]);
}

function write(title: string): void {
  const files = readdirSync(folder).filter((file) => /^\d{4}_/.test(file));
  const name = `${String(files.length).padStart(4, '0')}_${title.replace(/\W+/g, '_')}`;
  const list = (statements: string[]) => statements.map((text) => `    ${JSON.stringify(text.replaceAll('\t', '  '))},\n`).join('');
  const text = `export const migration = {\n  name: '${name}',\n  sqlite: [\n${list(sqlite)}  ],\n  postgres: [\n${list(postgres)}  ],\n};\n`;
  writeFileSync(new URL(`${name}.ts`, folder), text);
  const names = [...files.map((file) => file.replace('.ts', '')), name];
  const imports = names.map((one, i) => `import { migration as m${i} } from './${one}.ts';\n`).join('');
  writeFileSync(new URL('index.ts', folder), `${imports}\nexport const migrations = [${names.map((_, i) => `m${i}`).join(', ')}];\n`);
  writeFileSync(snapshotFile, `${JSON.stringify(now, null, 1)}\n`);
  console.log(`Wrote ${name}. Read it before you commit it.`);
}

/** drizzle-kit 0.31 takes each comma of an expression for the end of a column: `substr(a, 2)` would become two that do not exist. */
function withWholeExpressions(statement: string): string {
  const [, head, list, tail] = /^(CREATE (?:UNIQUE )?INDEX `\w+` ON `\w+` \()(.*)(\)(?: WHERE .*)?;)$/s.exec(statement) ?? [];
  if (!head || !list || !tail) return statement;
  const columns: string[] = [];
  let open = '';
  for (const piece of list.split(',')) {
    open += `${open && ','}${piece.replace(/^`|`$/g, '')}`;
    if (open.split('(').length !== open.split(')').length) continue;
    columns.push(open.includes('(') ? open : `\`${open}\``);
    open = '';
  }
  return head + columns.join(',') + tail;
}

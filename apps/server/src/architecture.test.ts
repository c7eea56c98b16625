/**
 * The one law: imports go down. Values only to a lower rank; types also sideways, since they are gone at run time and app.ts
 * hands the modules over; and types alone upward to app.ts, whose type is the list of what it hands over.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const server = 'apps/server/src/';

/** Lowest first. A module is a file, the files that are named after it (`vault-rows.ts`), and a folder of its name. */
const ranks: readonly (readonly string[])[] = [
  ['base-url', 'body', 'csv', 'json-weight', 'no-inspector', 'printable', 'sealed', 'streams', 'target', 'zone', 'pages'],
  ['config', 'ports'],
  ['providers'],
  [
    'vault',
    'meter',
    'metrics',
    'traces',
    'limits',
    'check-limits',
    'plans',
    'billing',
    'identity',
    'tokens',
    'accounts',
    'announcements',
    'audit',
    'health',
    'mail',
    'notices',
    'auth',
    'session-watch',
    'boot',
    'generation',
    'conversations',
    'prices',
    'rotation',
    'backup',
    'settings',
    'budgets',
    'fallback-cap',
  ],
  ['relay', 'callers'],
  ['agents'],
  ['api', 'gateway'],
  ['http', 'app'],
  ['cli'],
  ['main'],
];
const all = ranks.flat();

/** Where a secret's text may be read: to seal it, to send it, to derive keys from it. File -> how often. */
const mayExpose: Readonly<Record<string, number>> = {
  'apps/server/src/providers/openai.ts': 1,
  'apps/server/src/providers/anthropic.ts': 1,
  'apps/server/src/vault-rows.ts': 1,
  'apps/server/src/billing-till.ts': 2,
  'apps/server/src/identity-oidc.ts': 1,
  'apps/server/src/auth.ts': 1,
  'apps/server/src/config-keyring.ts': 2,
  'apps/server/src/mail.ts': 1,
  'apps/server/src/ports/mail.ts': 1,
  'apps/server/src/metrics-access.ts': 1,
  'apps/server/src/traces.ts': 1,
};

interface Import {
  target: string;
  typeOnly: boolean;
  line: string;
}

function importsOf(text: string): Import[] {
  const found = text.matchAll(/^(?:import|export)\s+([^'";]*?\bfrom\s+)?'([^']+)'.*$|\bimport\('([^']+)'\)/gm);
  return [...found].map(([line, clause = '', from, dynamic]) => {
    const names = /^\{(.*)\}\s*from\s+$/s.exec(clause)?.[1] ?? 'everything';
    const onlyTypes = names.split(',').every((name) => /^\s*(type\s|$)/.test(name));
    return { target: from ?? dynamic ?? '', typeOnly: clause.startsWith('type ') || onlyTypes, line };
  });
}

/** The module of a path below apps/server/src. @returns undefined: it has no rank */
function moduleOf(path: string): string | undefined {
  const name = path.slice(server.length).replace(/\/.*|\.ts$/g, '');
  return all.find((one) => one === name) ?? all.find((one) => name.startsWith(`${one}-`));
}
const rankOf = (module: string): number => ranks.findIndex((rank) => rank.includes(module));

function serverImport(path: string, { target, typeOnly }: Import): string | null {
  if (!target.startsWith('.'))
    return /^(@synthstack\/core(\/(db|keyring|secret))?|(?!@synthstack\/).+)$/.test(target) ? null : 'imports what is not its own';
  const to = normalize(join(dirname(path), target));
  if (to === 'apps/server/package.json') return null;
  const [mine, theirs] = [moduleOf(path), moduleOf(to)];
  if (!mine || !theirs) return 'has no rank: give its module one in architecture.test.ts';
  if (mine === theirs || rankOf(theirs) < rankOf(mine)) return null;
  if (typeOnly && (rankOf(theirs) === rankOf(mine) || theirs === 'app')) return null;
  return rankOf(theirs) === rankOf(mine) ? 'imports sideways' : 'imports upward';
}

function webImport(path: string, { target, typeOnly }: Import): string | null {
  if (target.startsWith('.')) return normalize(join(dirname(path), target)).startsWith('apps/web/src/') ? null : 'leaves apps/web';
  if (target.startsWith('@synthstack/') && target !== '@synthstack/core')
    return target === '@synthstack/server/router' && typeOnly ? null : 'imports more than the browser door and the type of the router';
  return target.startsWith('node:') ? 'imports node in a browser' : null;
}

function coreImport(path: string, { target }: Import): string | null {
  if (target.startsWith('.'))
    return normalize(join(dirname(path), target)).startsWith('packages/core/src/') ? null : 'leaves packages/core';
  return target.startsWith('@synthstack/') ? 'imports something of ours' : null;
}

/** The package for others: whatever has fetch may run it, and of the server it has types only. */
function clientImport(path: string, { target, typeOnly }: Import): string | null {
  if (target.startsWith('.'))
    return normalize(join(dirname(path), target)).startsWith('packages/client/src/') ? null : 'leaves packages/client';
  if (target.startsWith('@synthstack/'))
    return target === '@synthstack/server/router' && typeOnly ? null : 'imports more than the type of the router';
  return target.startsWith('node:') ? 'imports node, and runs elsewhere too' : null;
}

/** All files that a browser gets with core's door. */
function behindDoor(files: Files, path = 'packages/core/src/index.ts', seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const { target, typeOnly } of importsOf(files[path] ?? ''))
    if (target.startsWith('.') && !typeOnly) behindDoor(files, normalize(join(dirname(path), target)), seen);
  return seen;
}

const inDb = (path: string) => path.startsWith('packages/core/src/db/');
const forbidden: readonly { what: string; pattern: RegExp; except(path: string): boolean }[] = [
  { what: 'reads the environment', pattern: /process\.env\b|from 'node:process'/, except: (path) => path === `${server}config.ts` },
  { what: 'reads a secret', pattern: /\.expose\b/, except: (path) => path in mayExpose },
  { what: 'opens a transaction', pattern: /\.transaction\(/, except: inDb },
  {
    what: 'speaks to one engine',
    pattern: /(\)|^\s*|\borm|\btx|\bdb)\.(get|all|run)\(\)|\b(orm|tx)\.(get|all|run)\(/,
    except: inDb,
  },
  {
    what: 'speaks to one engine',
    pattern: /from '(better-sqlite3|pg|@electric-sql\/pglite|drizzle-orm\/(?!sqlite-core')[a-z-]+)'/,
    except: inDb,
  },
];

type Files = Readonly<Record<string, string>>;

const laws = [
  [server, serverImport],
  ['apps/web/', webImport],
  ['packages/client/', clientImport],
] as const;

function violations(files: Files): string[] {
  const door = behindDoor(files);
  return Object.entries(files).flatMap(([path, text]) => {
    const law = laws.find(([folder]) => path.startsWith(folder))?.[1] ?? coreImport;
    const wrongImports = importsOf(text).flatMap((one) => {
      const wrong =
        law(path, one) ?? (door.has(path) && /^node:/.test(one.target) ? 'stands behind the browser door and imports node' : null);
      return wrong ? [`${path} ${wrong}: ${one.line}`] : [];
    });
    const lines = text.split('\n').filter((line) => !/^\s*(\/?\*|\/\/)/.test(line));
    const wrongLines = forbidden.flatMap(({ what, pattern, except }) =>
      except(path) ? [] : lines.filter((line) => pattern.test(line)).map((line) => `${path} ${what}: ${line.trim()}`),
    );
    const exposed = text.split('.expose(').length - 1;
    const more = exposed > (mayExpose[path] ?? exposed) ? [`${path} reads a secret in ${exposed} places, not ${mayExpose[path]}`] : [];
    return [...wrongImports, ...wrongLines, ...more];
  });
}

const files: Files = Object.fromEntries(
  globSync(['apps/server/src/**/*.ts', 'packages/*/src/**/*.ts', 'apps/web/src/**/*.{ts,vue}'], { cwd: root })
    .filter((path) => !/\.test\.ts$/.test(path))
    .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
);

test('the one law holds', () => {
  expect(Object.keys(files).length).toBeGreaterThan(80);
  expect(violations(files)).toEqual([]);
  expect(behindDoor(files).size).toBeGreaterThan(5);
});

test('every breach of it is found', () => {
  const planted: Record<string, [path: string, text: string, found: RegExp]> = {
    upward: [
      'apps/server/src/vault-x.ts',
      "import { createGateway } from './gateway.ts';",
      /vault-x.ts imports upward: import \{ createGateway/,
    ],
    'upward, dynamic': ['apps/server/src/meter.ts', "const x = await import('./app.ts');", /imports upward/],
    'upward, a type beside a value': ['apps/server/src/api/x.ts', "import { type App, createApp } from '../app.ts';", /imports upward/],
    'upward, a type': ['apps/server/src/vault.ts', "import type { Relay } from './relay/relay.ts';", /imports upward/],
    'upward, over many lines': ['apps/server/src/plans.ts', "import {\n  a,\n  b,\n} from './callers.ts';", /imports upward/],
    'upward, handed on': ['apps/server/src/plans.ts', "export { a } from './callers.ts';", /imports upward/],
    sideways: ['apps/server/src/vault.ts', "import { createAudit } from './audit.ts';", /imports sideways/],
    'no rank': ['apps/server/src/helpers.ts', "import { x } from './vault.ts';", /has no rank/],
    'a test door': ['apps/server/src/vault.ts', "import { x } from '@synthstack/core/testing';", /not its own/],
    'web, a value': ['apps/web/src/x.vue', "import { appRouter } from '@synthstack/server/router';", /browser door/],
    'web, the database': ['apps/web/src/x.ts', "import type { Db } from '@synthstack/core/db';", /browser door/],
    'web, a path': ['apps/web/src/x.ts', "import { x } from '../../server/src/config.ts';", /leaves apps\/web/],
    'client, a value': ['packages/client/src/x.ts', "import { appRouter } from '@synthstack/server/router';", /more than the type/],
    'client, core': ['packages/client/src/x.ts', "import { money } from '@synthstack/core';", /more than the type/],
    'client, node': ['packages/client/src/x.ts', "import { join } from 'node:path';", /imports node/],
    'core, the server': ['packages/core/src/x.ts', "import { x } from '../../../apps/server/src/vault.ts';", /leaves packages\/core/],
    'core, node behind the door': ['packages/core/src/money.ts', "import { hash } from 'node:crypto';", /imports node/],
    environment: ['apps/server/src/vault.ts', 'const x = process.env.HOME;', /environment: const x = process.env.HOME;/],
    expose: ['apps/server/src/relay/x.ts', 'log(secret.expose());', /reads a secret/],
    'expose, once more': ['apps/server/src/vault-rows.ts', 'secret.expose(); secret.expose();', /in 2 places, not 1/],
    transaction: ['apps/server/src/meter.ts', 'await db.transaction(async (tx) => {});', /transaction/],
    'engine, a call': ['apps/server/src/meter.ts', 'const row = db.orm.select().from(x).get();', /one engine/],
    'engine, a chain': ['apps/server/src/meter.ts', '    .where(x)\n    .limit(eq(a, b)).all()', /one engine/],
    'engine, a chain over lines': ['apps/server/src/meter.ts', '    .where(x)\n    .get()', /one engine/],
    'engine, its driver': ['apps/server/src/meter.ts', "import Database from 'better-sqlite3';", /one engine/],
  };
  const door = { 'packages/core/src/index.ts': "export * from './money.ts';" };
  for (const [name, [path, text, found]] of Object.entries(planted))
    expect(violations({ ...door, [path]: text }), name).toEqual([expect.stringMatching(found)]);
  const good =
    "import type { App } from '../app.ts';\nimport { type Config, readEnvironment } from '../config.ts';\nimport type { Caller } from '../callers.ts';";
  expect(violations({ ...door, 'apps/server/src/api/x.ts': good })).toEqual([]);
});

/** Holds README and guides to the program: what is made of it is fresh, what they name exists, and what they show runs. */
import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { generatedPages } from '../scripts/docs-pages.ts';
import { usages } from '../src/cli/cli.ts';
import { environmentNames } from '../src/config.ts';
import { type Person, password, type TestApp, testApp } from './app.ts';

const root = join(import.meta.dirname, '../../..');
const textOf = (file: string) => readFileSync(join(root, file), 'utf8');
const guides = globSync(['*.md', 'docs/*.md', 'deploy/**/*', 'packages/client/*.md', '.env.example'], { cwd: root }).filter((file) =>
  /\.(md|service|ya?ml|conf|sh|env|example)$|Dockerfile|Caddyfile/.test(file),
);
const pages = guides.filter((file) => file.endsWith('.md'));

test('what is made of the program is as the program is; `npx --yes pnpm@12.21.0 docs` makes it anew', () => {
  for (const [name, text] of Object.entries(generatedPages())) expect(textOf(`docs/${name}`), name).toBe(text);
});

/** Those that are not the server's own: of clients, of tests, of systemd, of shells. */
const foreignNames =
  /^(BYOK_(TOKEN|JWT|URL|PICTURES)|NAME_FILE|(KEY|FORMER|TOKEN|NOTICE)_ID|OPENAI_(API_KEY|ORG_ID)|ANTHROPIC_(API_KEY|AUTH_TOKEN)|CHROMIUM_PATH|TEST_DATABASE|NODE_(ENV|OPTIONS|COMPILE_CACHE)|XDG_\w+|(LITESTREAM|GF|AWS|OTEL_RESOURCE)_\w+)$/;

function unknownNames(text: string): string[] {
  const known = new Set([...environmentNames, ...environmentNames.map((name) => `${name}_FILE`)]);
  const quoted = [...text.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)];
  const set = [...text.matchAll(/^(?:export |Environment=|ENV )?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)=/gm)];
  const given = [...text.matchAll(/(?:^|[ "])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)=\S+ (?=npx|\.\/byok|byok )/gm)];
  const names = new Set([...quoted, ...set, ...given].map(([, name = '']) => name));
  return [...names].filter((name) => !known.has(name) && !foreignNames.test(name));
}

test('every setting that the guides name exists', () => {
  expect(guides.length).toBeGreaterThan(7);
  for (const file of guides) expect(unknownNames(textOf(file)), file).toEqual([]);
  expect(unknownNames('`DATA_FOLDER`, `ENCRYPTION_KEY_FILE`\nexport LOG_COLOUR=1\nOTHER_PORT=8080 npx x')).toEqual([
    'DATA_FOLDER',
    'LOG_COLOUR',
    'OTHER_PORT',
  ]);
});

/** Of commands: the words, and the options with them. */
function unknownCommands(text: string, known: Readonly<Record<string, string>>): string[] {
  const calls = text.matchAll(
    /(?:pnpm@[\d.]+ byok|\.\/byok|dist\/byok|(?<=`)byok|^byok|\/byok)((?: [a-z][a-z-]*)+)((?: (?:--[a-z-]+|[^\s`|;&)]+))*)/gm,
  );
  return [...calls].flatMap(([whole, words = '', rest = '']) => {
    const name = Object.keys(known).find((one) => `${words} `.startsWith(` ${one} `));
    if (name === undefined) return [whole];
    return [...rest.matchAll(/ (--[a-z][a-z-]*)/g)].flatMap(([, option = '']) =>
      option === '--help' || known[name]?.includes(option) ? [] : [whole],
    );
  });
}

test('every command that the guides name exists, with its options; and so does every script of pnpm', async () => {
  const known = await usages();
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  let found = 0;
  for (const file of guides) {
    const text = textOf(file);
    expect(unknownCommands(text, known), file).toEqual([]);
    const asked = [...text.matchAll(/pnpm@[\d.]+ (?:run )?([a-z][a-z-]*)/g)].map(([, script = '']) => script);
    found += asked.length;
    expect(
      asked.filter((script) => !(script in scripts) && !['exec', 'install'].includes(script)),
      file,
    ).toEqual([]);
  }
  expect(found).toBeGreaterThan(30);
  const planted = 'npx --yes pnpm@12.21.0 byok users list --jsn\n./byok nonsense\n`byok version`, `byok users set-tier --email E --tier T`';
  expect(unknownCommands(planted, known)).toEqual(['pnpm@12.21.0 byok users list --jsn', './byok nonsense']);
});

/** As GitHub makes it of a heading. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#{1,6} (.*)$/gm)) {
    const plain = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-');
    for (let n = 0; ; n += 1) {
      const anchor = n === 0 ? plain : `${plain}-${n}`;
      if (anchors.has(anchor)) continue;
      anchors.add(anchor);
      break;
    }
  }
  return anchors;
}

test('every link within the repository leads somewhere', () => {
  const broken = pages.flatMap((file) =>
    [...textOf(file).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? file : join(dirname(file), path);
      if (!existsSync(join(root, target))) return [`${file}: ${link}`];
      return anchor === undefined || anchorsOf(textOf(target)).has(anchor) ? [] : [`${file}: ${link}`];
    }),
  );
  expect(broken.join('\n')).toBe('');
});

test('every proof that the threat table names is there', () => {
  const named = [...textOf('docs/security.md').matchAll(/`((?:apps|packages|scripts)\/[\w./-]+)`/g)].map(([, path = '']) => path);
  expect(named.length).toBeGreaterThan(100);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

interface Block {
  where: string;
  language: string;
  code: string;
}

/** All that asks a server at the address of the guides. What is not to be run says so in a comment before it. */
function blocksIn(file: string): Block[] {
  const text = textOf(file);
  return [...text.matchAll(/(<!-- not run[^>]*-->\n+)?^```(sh|ts|python)\n([\s\S]*?)^```/gm)]
    .filter(([, exempt, , code = '']) => !exempt && code.includes('http://localhost:3000'))
    .map(({ index, 2: language = '', 3: code = '' }) => ({ where: `${file}:${text.slice(0, index).split('\n').length}`, language, code }));
}

test('the code of README and user guide runs as it stands', async () => {
  await using app = await testApp({ platform: { openai: 'good' } });
  const blocks = ['README.md', 'docs/user-guide.md'].flatMap(blocksIn);
  expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(['sh', 'ts', 'python']));
  expect(blocks.length).toBeGreaterThan(14);
  for (const block of blocks) {
    const { code, output } = await run(app, block);
    expect(code, `${block.where}\n${block.code}\n${output}`).toBe(0);
  }
  const wrong = { where: 'here', language: 'sh', code: 'curl http://localhost:3000/api/v1/nothing -H "Authorization: Bearer $BYOK_JWT"\n' };
  expect(await run(app, wrong)).toMatchObject({ code: 22, output: expect.stringContaining('not_found') });
  // A process for each of them.
}, 240_000);

/** Read by Python; run where the SDKs that it imports are installed, which they are on few machines that test. */
const runPython = `
import ast, importlib.util, sys
tree = ast.parse(sys.argv[1])
wanted = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
if all(importlib.util.find_spec(name) for name in wanted): exec(compile(tree, 'example', 'exec'))
`;

/** As somebody new, with all that a guide's reader has by then. */
async function run(app: TestApp, { language, code }: Block): Promise<{ code: number; output: string }> {
  const who = await app.person({ keys: { openai: 'good', anthropic: 'good' } });
  const folder = mkdtempSync(join(tmpdir(), 'byok-docs-'));
  try {
    const text = filledIn(app, who, code);
    const env = { PATH: process.env.PATH ?? '', HOME: folder, ...(await variables(app, who)) };
    // Shells go on after a failure, and curl takes a refusal for an answer.
    if (language === 'sh') return await spawn('sh', ['-ec', `curl() { command curl -sS --fail-with-body "$@"; }\n${text}`], env, folder);
    if (language === 'python') return await spawn('python3', ['-c', runPython, text], env, folder);
    symlinkSync(join(root, 'apps/server/node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'example.mts'), text);
    return await spawn(process.execPath, ['example.mts'], env, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const filledIn = (app: TestApp, who: Person, code: string): string =>
  code
    .replaceAll('http://localhost:3000', app.url)
    .replaceAll('ada@example.com', who.email)
    .replaceAll(/your password|correct horse battery/g, password)
    .replaceAll('"sk-..."', `"${app.newSecret('openai')}"`)
    .replaceAll('2027-01-01T00:00:00Z', new Date(app.clock.now() + 86_400_000).toISOString())
    .replaceAll(/^export BYOK_JWT=eyJ.*$/gm, '');

async function variables({ app }: TestApp, who: Person): Promise<Record<string, string>> {
  const { auth, vault, tokens, notices, db } = app;
  const dedupe = `docs:${who.id}`;
  await db.commit([notices.entry({ userId: who.id, kind: 'key_invalid', dedupe, data: { provider: 'openai' } })]);
  const [key] = await vault.list(who.id);
  const [token] = await tokens.list(who.id);
  const { notice } = db.tables;
  const [told] = await db.orm.select({ id: notice.id }).from(notice).where(eq(notice.dedupe, dedupe));
  return {
    BYOK_TOKEN: who.token,
    BYOK_JWT: (await auth.issueJwt(await auth.signIn(who.email, password))).token,
    KEY_ID: key?.id ?? '',
    TOKEN_ID: token?.id ?? '',
    NOTICE_ID: told?.id ?? '',
  };
}

const spawn = (file: string, args: string[], env: Record<string, string>, cwd: string) =>
  new Promise<{ code: number; output: string }>((resolve) => {
    execFile(file, args, { env, cwd, timeout: 30_000 }, (error, stdout, stderr) => {
      const isMissing = file === 'python3' && error?.code === 'ENOENT';
      resolve({ code: !error || isMissing ? 0 : Number(error.code) || 1, output: stdout + stderr });
    });
  });

/** Holds the German for the server's sentences to what the server says. A test may look into the server, which the pages may not. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { providers } from '../../../server/src/providers/catalog.ts';
import { findings, verdict } from '../../../server/src/providers/verdict.ts';
import { sentences } from './de/server.ts';
import { fromServer, setLanguage } from './i18n.ts';

vi.stubGlobal('document', { documentElement: {} });
beforeAll(() => setLanguage('de'));

const root = join(import.meta.dirname, '../../../..');

/** Where the sentences stand that a page can get to show. */
const sources = [
  ...['vault.ts', 'vault-rows.ts', 'vault-writes.ts', 'vault-status.ts', 'check-limits.ts', 'tokens.ts', 'accounts.ts', 'auth.ts'],
  ...[
    'auth/wire.ts',
    'auth/routes.ts',
    'auth/sessions.ts',
    'auth/attempts.ts',
    'api/trpc.ts',
    'api/accounts.ts',
    'api/keys.ts',
    'api/usage.ts',
    'api/tokens.ts',
  ],
  ...['agents.ts', 'agents-answers.ts', 'agents-failure.ts', 'agents-roster.ts', 'agents-voice.ts', 'agents-catalog.ts', 'conversations.ts'],
  ...['relay/choose.ts', 'relay/relay.ts', 'relay/journey.ts', 'limits.ts'],
  ...['providers/catalog.ts'],
].map((file) => `apps/server/src/${file}`);
const contracts = ['accounts', 'agents', 'keys', 'tokens', 'usage'].map((file) => `packages/core/src/contracts/${file}.ts`);

/** Those of them that are for who runs the server, or for programs. */
const notForPages = [
  /^The vault was used before|^A stored key has no view|^The sign-in library answered/,
  /^Give (either|exactly one)|^from and to go together|^(days|hours|groupBy|limit): |^Name a (model|provider)/,
  /^(The last four characters|The first characters|Shown once|The sum of|Use the platform key|The operator has set)/,
  /^Something the library/,
];

/** The texts in a file that read as sentences, with `Xyz` for whatever is put into them. */
function sentencesIn(file: string): string[] {
  const code = readFileSync(join(root, file), 'utf8')
    .replace(/^\s*(\/\/|\*|\/\*).*$/gm, '')
    .replace(/\.(meta|describe)\(.*$/gm, '');
  const texts = [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|`([^`]*)`/g)].map(([, plain, template]) => plain ?? template ?? '');
  return texts
    .map((text) =>
      text
        .replace(/\$\{wait\}/, '3 minutes')
        .replace(/\$\{[^}]*\}/g, 'Xyz')
        .replaceAll("\\'", "'"),
    )
    .filter((text) => /^[A-Z][^\n]* [^\n]*\.$/.test(text) && !notForPages.some((pattern) => pattern.test(text)));
}

test('every sentence that the server may show on a page is there in German', () => {
  const found = [...sources, ...contracts].flatMap(sentencesIn);
  expect(found.length).toBeGreaterThan(40);
  expect([...new Set(found)].filter((sentence) => fromServer(sentence) === sentence)).toEqual([]);
});

test('every verdict on a key is there in German, with the name and the address in it', () => {
  for (const provider of Object.values(providers)) {
    for (const finding of findings) {
      const { message } = verdict(provider, finding);
      expect(fromServer(message)).not.toBe(message);
      expect(fromServer(message)).toContain(provider.name);
      expect(fromServer(message).includes(provider.keysUrl)).toBe(message.includes(provider.keysUrl));
    }
  }
});

test('a translated sentence needs nothing that the server’s own does not have', () => {
  const names = (text: string) => new Set(text.match(/\{\w+\}/g));
  for (const [english, german] of Object.entries(sentences))
    expect([...names(german)].filter((name) => !names(english).has(name))).toEqual([]);
});

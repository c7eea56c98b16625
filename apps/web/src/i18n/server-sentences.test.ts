/** Holds the German for the server's sentences to what the server says. A test may look into the server, which the pages may not. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { auditActions } from '../../../server/src/audit.ts';
import { providers } from '../../../server/src/providers/catalog.ts';
import { findings, verdict } from '../../../server/src/providers/verdict.ts';
import { sentences } from './de/server.ts';
import { fromServer, loadTexts, setLanguage, type TextKey, t } from './i18n.ts';

vi.stubGlobal('document', { documentElement: {} });
beforeAll(async () => {
  await setLanguage('de');
  await loadTexts('admin');
  await loadTexts('answers');
  await loadTexts('people');
  await loadTexts('adminPlatform');
});
// Other files of the same worker share it.
afterAll(() => setLanguage('en'));

const root = join(import.meta.dirname, '../../../..');

/** Where the sentences stand that a page can get to show. */
const sources = [
  ...[
    'vault.ts',
    'vault-spots.ts',
    'budgets.ts',
    'fallback-cap.ts',
    'vault-rows.ts',
    'vault-writes.ts',
    'vault-status.ts',
    'vault-expiry.ts',
    'vault-retired.ts',
    'check-limits.ts',
    'tokens.ts',
    'accounts.ts',
    'accounts-removal.ts',
    'auth.ts',
  ],
  ...[
    'auth/wire.ts',
    'auth/routes.ts',
    'auth/sessions.ts',
    'auth/attempts.ts',
    'auth/links.ts',
    'auth/factors.ts',
    'auth/passkeys.ts',
    'api/trpc.ts',
    'api/accounts.ts',
    'api/keys.ts',
    'api/usage.ts',
    'api/tokens.ts',
  ],
  ...[
    'agents.ts',
    'agents-answers.ts',
    'agents-failure.ts',
    'agents-roster.ts',
    'agents-voice.ts',
    'agents-catalog.ts',
    'conversations.ts',
    'notices.ts',
    'notices-preferences.ts',
    'notices-live.ts',
  ],
  ...['accounts-admin.ts', 'accounts-search.ts', 'plans.ts', 'announcements.ts', 'api/admin-users.ts', 'api/admin-audit.ts'],
  ...['providers/catalog.ts', 'billing.ts', 'billing-till.ts', 'api/billing.ts', 'prices.ts', 'api/admin-prices.ts'],
  ...['settings.ts', 'settings-tiers.ts', 'vault-platform.ts'],
].map((file) => `apps/server/src/${file}`);
const contracts = [
  ...['accounts', 'admin-limits', 'admin-platform-keys', 'agents', 'announcements', 'audit', 'key-history', 'keys', 'people', 'notices'],
  ...['prices', 'tokens', 'usage'],
].map((file) => `packages/core/src/contracts/${file}.ts`);

/** Those of them that are for who runs the server, or for programs. */
const notForPages = [
  /^The vault was used before|^Every tier has its row|^A stored key has no view|^An announcement has no view|^The sign-in library answered/,
  /^Give (either|exactly one)|^from and to go together|^(days|hours|groupBy|limit): |^Name a (model|provider)/,
  /^(The last four characters|The first characters|Shown once|The sum of|Use the platform key|The operator has set)/,
  /^Something the library|^There is one; else they sign in elsewhere/,
  // Of instants and days: what programs are told
  /^(A day, such as|Name an instant up to)/,
  // To Stripe, and for the log
  /^(This is not an event|A billing event|Stripe (did not tell|answered|made|is not at))/,
  /^A price that was typed has not been read|^(Left out|From when on|Who wrote it|Of the price|Of all models|Those that wait|Answered, and)/,
  // Of agents: what programs are told
  /^(Only without conversationId|Only in a conversation|Not with regenerates|This is for the pages)/,
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

/** Put together from several parts by the relay, the limits and the sender: as they come out. */
test.each([
  "Your tier (community) allows 10 requests a minute on the platform's key. Wait 42 s, or change to a plan with own keys and add yours: own keys have no such limit.",
  "Your tier (premium) allows 10,000 requests a day on the platform's key. Wait until midnight UTC, or add your own key in Settings > API Keys: own keys have no such limit.",
  'There is no platform key of OpenAI for this request, and you have no OpenAI key. Add yours in Settings > API Keys.',
  'Your OpenAI key cannot be used: it is switched off. Switch it on (Settings > API Keys).',
  "The platform's OpenAI key does not work at the moment; the administrators have been told. Try again later, or add your own key in Settings > API Keys.",
  'The monthly budget of your OpenAI key is used up. Raise it in Settings > API Keys, or wait until the month ends (UTC).',
  'This request may cost up to $1.28, and $0.050 of the monthly budget of your OpenAI key ($5.00) is left. Set a lower max_completion_tokens, raise the budget in Settings > API Keys, or wait until 2026-12-01 (UTC).',
  'The model "x" has no known price, so this request cannot be held to the monthly budget of your OpenAI key. Use a model with a price (GET /api/v1/api-keys/providers lists them), let the budget only tell you (Settings > API Keys), or ask an administrator to set its price.',
  'OpenAI refused this request: The model `x` does not exist.',
  'The connection to OpenAI failed. Please try again in a moment.',
])('what a chat may show of other parts of the server is there in German: %s', (sentence) => {
  expect(fromServer(sentence)).not.toBe(sentence);
});

test.each(['en', 'de'] as const)('every action of the audit log has its words on the page: %s', async (language) => {
  await setLanguage(language);
  const wordless = auditActions.filter((action) => {
    const key = `people.audit.actions.${action.replace('.', '_')}` as TextKey;
    return t(key) === key;
  });
  await setLanguage('de');
  expect(auditActions.length).toBeGreaterThan(30);
  expect(wordless).toEqual([]);
});

/** Of the rotation: put together from several parts as well. */
test('why the master key cannot be changed now is there in German', () => {
  const sentence =
    'Another server still seals with a former master key (process 4711 on there). Restart it with the new ENCRYPTION_KEY, and the former one in ENCRYPTION_KEY_PREVIOUS, then try again.';
  expect(fromServer(sentence)).toMatch(/^Ein anderer Server .*4711 on there/);
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

/**
 * Who lives in the demo: three people, six keys in six states, their tokens and sixty days of requests. All of it is made by the
 * program's own modules, with a clock that begins in the past, so that it is as real as anything that they would have made.
 */
import { randomBytes } from 'node:crypto';
import type { FallbackReason, ProviderId, TierName } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { eq, max } from 'drizzle-orm';
import { createModules } from '../src/app.ts';
import { hashPassword } from '../src/auth.ts';
import type { Config } from '../src/config.ts';
import { createLog } from '../src/ports/log.ts';
import { manualClock } from '../test/clock.ts';
import type { ScriptedProvider } from '../test/provider.ts';
import { type Habit, type Payer, writeUsage } from './usage.ts';

export const password = 'byok-demo-2026';
export const usageDays = 60;
const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** How long before now things happened, so that everyone's troubles can be seen in their usage: at least a day, as people sleep. */
const ago = {
  begin: (usageDays + 2) * dayMs,
  talk: 31 * dayMs,
  carolChecks: 9 * dayMs + 5 * hourMs,
  carolBreaks: 9 * dayMs + hourMs,
  carolLapses: 9 * dayMs,
  bobRevoked: 4 * dayMs,
  bobChecks: 44 * hourMs,
  bobBroke: 40 * hourMs,
  adaSwitches: 29 * hourMs,
  adaChecks: 7 * hourMs,
  rechecks: 20 * 60_000,
};

const chat = { provider: 'openai', route: '/v1/chat/completions' } as const;
const messages = { provider: 'anthropic', route: '/v1/messages' } as const;
const habits = {
  ada: [
    { ...messages, model: 'claude-sonnet-5-5', share: 9, input: 9_000, output: 700, cached: 0.8, streamed: 1 },
    {
      ...messages,
      model: 'claude-opus-4-5',
      answeredBy: 'claude-opus-4-5-20251101',
      share: 2,
      input: 6_000,
      output: 900,
      cached: 0.6,
      streamed: 1,
    },
    { ...chat, model: 'gpt-4o', answeredBy: 'gpt-4o-2024-08-06', share: 6, input: 1_800, output: 450, cached: 0.3, streamed: 0.8 },
    {
      ...chat,
      model: 'gpt-5-mini',
      answeredBy: 'gpt-5-mini-2025-08-07',
      share: 5,
      input: 2_500,
      output: 1_100,
      reasoning: 0.5,
      streamed: 0.5,
    },
    { provider: 'openai', route: '/v1/embeddings', model: 'text-embedding-3-small', share: 4, input: 600, output: 0 },
    // No list has a price for it: unknown is shown as unknown.
    { ...chat, model: 'acme-internal-preview', share: 0.4, input: 900, output: 200 },
  ],
  bob: [
    {
      ...chat,
      model: 'gpt-4o-mini',
      answeredBy: 'gpt-4o-mini-2024-07-18',
      share: 10,
      input: 1_200,
      output: 300,
      cached: 0.4,
      streamed: 0.4,
    },
    { ...chat, model: 'o4-mini', answeredBy: 'o4-mini-2025-04-16', share: 2, input: 1_500, output: 1_600, reasoning: 0.7 },
    { ...messages, model: 'claude-haiku-4-5', answeredBy: 'claude-haiku-4-5-20251001', share: 5, input: 3_000, output: 350, streamed: 0.9 },
  ],
  carol: [
    { ...chat, model: 'gpt-4o-mini', answeredBy: 'gpt-4o-mini-2024-07-18', share: 5, input: 500, output: 220, streamed: 1 },
    { ...messages, model: 'claude-haiku-4-5', answeredBy: 'claude-haiku-4-5-20251001', share: 3, input: 700, output: 250, streamed: 1 },
  ],
} as const satisfies Record<string, readonly Habit[]>;

type Name = keyof typeof habits;
type Modules = Awaited<ReturnType<typeof createModules>>;

export interface Seeded {
  /** A gateway token for each, in plain text. */
  tokens: Record<Name, string>;
  requests: number;
}

/** Fills an empty database. The scripted provider learns the keys that are made here. */
export async function seed(config: Config, provider: ScriptedProvider): Promise<Seeded> {
  const nowMs = Date.now();
  const clock = manualClock(nowMs - ago.begin);
  const modules = await createModules(config, { clock, log: createLog({ level: 'silent', format: 'json' }) });
  try {
    const hash = await hashPassword(password);
    const people = {
      ada: await add(modules, 'Ada', 'lifetime', hash),
      bob: await add(modules, 'Bob', 'premium', hash),
      carol: await add(modules, 'Carol', 'premium', hash),
    };
    const keys = await liveThrough({ modules, provider, people, until: (agoMs) => clock.advance(nowMs - agoMs - clock.now()) });
    const person = (name: Name, aDay: number, tierAt: (atMs: number) => TierName) => ({
      ...{ userId: people[name].id, tokenIds: [people[name].tokenId], aDay, habits: habits[name] },
      payerAt: (id: ProviderId, atMs: number) => ({ tier: tierAt(atMs), ...payer(keys[name][id], nowMs - atMs) }),
    });
    const requests = await writeUsage({
      ...{ db: modules.db, endMs: nowMs - 60_000, days: usageDays, seed: 2026 },
      people: [
        person('ada', 70, () => 'lifetime'),
        person('bob', 40, () => 'premium'),
        person('carol', 14, (atMs) => (nowMs - atMs > ago.carolLapses ? 'premium' : 'community')),
      ],
    });
    await touchTokens(modules.db);
    return { tokens: { ada: people.ada.token, bob: people.bob.token, carol: people.carol.token }, requests };
  } finally {
    await modules.outbound.close();
    await modules.db.close();
  }
}

interface Person {
  id: string;
  token: string;
  tokenId: string;
}

async function add({ accounts, tokens }: Modules, name: string, tier: TierName, hash: string): Promise<Person> {
  const admin = tier === 'lifetime';
  const { userId: id } = await accounts.add({ email: `${name.toLowerCase()}@demo.example`, name, password: { hash }, tier, admin });
  const { secret, token } = await tokens.create(id, { name: `${name}'s laptop`, scopes: admin ? ['gateway', 'manage'] : ['gateway'] });
  return { id, token: secret, tokenId: token.id };
}

/** A key that paid for its owner's requests, until the platform's had to. */
interface Paid {
  keyId: string;
  endedAgoMs: number;
  because: FallbackReason;
}

const payer = ({ keyId, endedAgoMs, because }: Paid, agoMs: number): Omit<Payer, 'tier'> =>
  agoMs > endedAgoMs ? { keyId, reason: null } : { keyId: null, reason: because };

interface Life {
  modules: Modules;
  provider: ScriptedProvider;
  people: Record<Name, Person>;
  /** Lets time pass, to so long before now. */
  until(agoMs: number): void;
}

/** What befell the keys, in the order in which it did. */
async function liveThrough({ modules, provider, people, until }: Life): Promise<Record<Name, Record<ProviderId, Paid>>> {
  const { vault, plans, tokens, db } = modules;

  async function save(owner: Person, id: ProviderId, state: 'good' | 'down' = 'good'): Promise<{ id: string; apiKey: string }> {
    const apiKey = (id === 'openai' ? 'sk-proj-' : 'sk-ant-api03-') + randomBytes(36).toString('base64url');
    provider.key(apiKey, state, id);
    const key = await vault.save({ userId: owner.id, byok: true }, { provider: id, apiKey });
    return { id: key.id, apiKey };
  }

  /** The provider refuses a key from now on, and a request has just met that. */
  async function breaks(owner: Person, key: { id: string; apiKey: string }, how: 'revoked' | 'no_credit'): Promise<void> {
    provider.key(key.apiKey, how);
    const stored = (await vault.sealedOf(owner.id)).find(({ id }) => id === key.id);
    if (stored) await vault.report(stored, how === 'revoked' ? 'bad_key' : how);
  }

  /** The owner asks whether it works, as people do now and then. */
  const checks = (owner: Person, key: { id: string }) => vault.test({ userId: owner.id, byok: true }, key.id);

  const { ada, bob, carol } = people;
  const keys = {
    ada: { openai: await save(ada, 'openai'), anthropic: await save(ada, 'anthropic') },
    bob: { openai: await save(bob, 'openai'), anthropic: await save(bob, 'anthropic') },
    carol: { openai: await save(carol, 'openai'), anthropic: await save(carol, 'anthropic') },
  };
  until(ago.talk);
  await tokens.create(ada.id, { name: 'Conference talk', scopes: ['gateway'], expiresAt: isoIn(modules, 3 * dayMs) });
  until(ago.carolChecks);
  await checks(carol, keys.carol.anthropic);
  until(ago.carolBreaks);
  await save(carol, 'openai', 'down');
  await isDamaged(db, keys.carol.anthropic.id);
  until(ago.carolLapses);
  await plans.set(carol.id, { tier: 'premium', until: new Date(modules.clock.now()), source: 'admin', actor: ada.id });
  until(ago.bobRevoked);
  await breaks(bob, keys.bob.anthropic, 'revoked');
  until(ago.bobChecks);
  await checks(bob, keys.bob.openai);
  until(ago.bobBroke);
  await breaks(bob, keys.bob.openai, 'no_credit');
  until(ago.adaSwitches);
  await checks(ada, keys.ada.anthropic);
  await vault.set({ userId: ada.id, byok: true }, { id: keys.ada.anthropic.id, isActive: false });
  until(ago.adaChecks);
  await checks(ada, keys.ada.openai);
  until(ago.rechecks);
  await vault.runRechecks();
  until(0);

  const paid = (key: { id: string }, endedAgoMs: number, because: FallbackReason): Paid => ({ keyId: key.id, endedAgoMs, because });
  return {
    ada: { openai: paid(keys.ada.openai, 0, 'inactive'), anthropic: paid(keys.ada.anthropic, ago.adaSwitches, 'inactive') },
    bob: { openai: paid(keys.bob.openai, ago.bobBroke, 'no_credit'), anthropic: paid(keys.bob.anthropic, ago.bobRevoked, 'invalid') },
    carol: { openai: paid(keys.carol.openai, ago.carolBreaks, 'plan'), anthropic: paid(keys.carol.anthropic, ago.carolBreaks, 'plan') },
  };
}

/** The requests were written behind the tokens' back: each was last used by its own last one. */
async function touchTokens(db: Db): Promise<void> {
  const { gatewayToken, request } = db.tables;
  const uses = await db.orm
    .select({ tokenId: request.tokenId, lastMs: max(request.startedAt) })
    .from(request)
    .groupBy(request.tokenId);
  for (const { tokenId, lastMs } of uses) {
    if (tokenId === null || lastMs === null) continue;
    await db.orm
      .update(gatewayToken)
      .set({ lastUsedAt: new Date(lastMs) })
      .where(eq(gatewayToken.id, tokenId));
  }
}

/** Somebody, or a disk, has changed the row: what was sealed is not what is there. */
async function isDamaged(db: Db, keyId: string): Promise<void> {
  const { providerKey } = db.tables;
  await db.orm
    .update(providerKey)
    .set({ encryptedBlob: randomBytes(112) })
    .where(eq(providerKey.id, keyId));
}

const isoIn = ({ clock }: Modules, ms: number): string => new Date(clock.now() + ms).toISOString();

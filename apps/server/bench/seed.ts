/**
 * Fills a database in bulk: people with tokens and really sealed keys, and the requests that they made with the sums that belong to
 * them. The rows are those that the program itself would have written; only the audit trail and the sign-ins, which no request reads,
 * are left out. Millions of rows go past the group commit, into a file that nobody else has open.
 */
import { hash } from 'node:crypto';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { setImmediate as turn } from 'node:timers/promises';
import { type TierName, tierNames } from '@synthstack/core';
import { bumpGeneration, type Db, prepared, statement } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import { getTableColumns, sql } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import { createModules } from '../src/app.ts';
import type { Config } from '../src/config.ts';
import { bucketMs, idAt, startOf } from '../src/meter.ts';
import { createLog } from '../src/ports/log.ts';
import { idOf, tokenOf } from './people.ts';
import { providerKey } from './shapes.ts';

export interface SeedSize {
  users: number;
  rows: number;
  /** Every so many-th request is person 0's, with models and key sources of many kinds; none: person 0 is like the others. */
  busyEvery?: number;
  /** People are of all tiers, and use all kinds: one each time that they come. */
  mixed?: boolean;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** The requests are spread over so long, and each person's come ten in a quarter of an hour. */
const spanDays = 90;
const together = 10;
const perTransaction = 10_000;

type Insert = (values: Record<string, unknown>) => void;
type Tables = Db['tables'];

export async function seed(config: Config, { users, rows, busyEvery = 0, mixed = false }: SeedSize): Promise<void> {
  const modules = await createModules(config, { log: createLog({ level: 'silent', format: 'json' }) });
  const { db, keyring } = modules;
  const { tables } = db;
  await modules.outbound.close();
  // From here on the file is written by another hand; what is left of `db` makes statements.
  await db.close();
  const file = new DatabaseSync(config.databaseUrl.slice('file:'.length));
  // Whatever happens to it, it is thrown away: nothing here has to outlive a loss of power.
  for (const pragma of ['journal_mode = OFF', 'synchronous = OFF', 'foreign_keys = OFF', 'cache_size = -500000'])
    file.exec(`pragma ${pragma}`);
  const into = (table: SQLiteTable): Insert => {
    const make = prepared<Record<string, unknown>>(db.orm.insert(table).values(holesOf(table) as never));
    const insert = file.prepare(make({}).sql);
    return (values) => void insert.run(...(make(values).params as SQLInputValue[]));
  };
  await writePeople({ file, into, tables, keyring, users, mixed });
  await withoutIndex(file, 'request_user', () => writeRequests({ file, into, tables, users, rows, busyEvery, mixed }));
  const { sql: text, params } = statement(bumpGeneration(db.orm, tables));
  file.prepare(text).run(...(params as SQLInputValue[]));
  file.close();
}

interface Writing {
  file: DatabaseSync;
  into(table: SQLiteTable): Insert;
  tables: Tables;
  users: number;
  mixed: boolean;
}

const tierOf = (person: number, mixed: boolean): TierName => (mixed ? (tierNames[person % tierNames.length] ?? 'premium') : 'premium');

async function writePeople({ file, into, tables: t, keyring, users, mixed }: Writing & { keyring: Keyring }): Promise<void> {
  const [user, account, plan, token, key] = [into(t.user), into(t.account), into(t.plan), into(t.gatewayToken), into(t.providerKey)];
  const now = new Date(Date.now() - 2 * spanDays * dayMs);
  const times = { createdAt: now, updatedAt: now };
  await inTransactions(file, users, (person) => {
    const [userId, tokenId, keyId, secret] = [idOf('user', person), idOf('token', person), idOf('key', person), tokenOf(person)];
    user({ id: userId, name: `Person ${person}`, email: `${person}@bench.example`, emailVerified: false, role: 'user', ...times });
    account({ id: idOf('account', person), accountId: userId, providerId: 'credential', userId, ...times });
    plan({ userId, tier: tierOf(person, mixed), state: 'active', renews: false, source: 'cli', updatedAt: now });
    token({
      id: tokenId,
      userId,
      name: 'load',
      prefix: secret.slice(0, 9),
      hash: hash('sha256', secret),
      scopes: ['gateway'],
      createdAt: now,
    });
    const sealed = keyring.seal('provider-key', [userId, 'openai', keyId], providerKey);
    const place = { id: keyId, owner: userId, provider: 'openai', position: 0, rank: 0, keyHint: `****...${providerKey.slice(-4)}` };
    key({ ...place, ...sealed, version: 1, status: 'valid', isActive: true, fallback: true, retries: 0, lastTestedAt: now, ...times });
  });
}

/** What each request used. */
const tokens = { inputTokens: 412, cachedInputTokens: 0, cacheWriteTokens: 0, outputTokens: 50, reasoningTokens: 0, totalTokens: 462 };
const costNanoUsd = 91_800;
const chat = { provider: 'openai', model: 'gpt-4o-mini', source: 'user' };
/** What a busy person uses, one after the other; the last is rare. */
const kinds = [
  chat,
  { provider: 'openai', model: 'gpt-4o', source: 'user' },
  { provider: 'openai', model: 'gpt-4.1', source: 'user' },
  { provider: 'openai', model: 'gpt-4o-mini', source: 'platform' },
  { provider: 'anthropic', model: 'claude-sonnet-4-5', source: 'user' },
  { provider: 'anthropic', model: 'claude-haiku-4-5', source: 'user' },
  { provider: 'anthropic', model: 'claude-haiku-4-5', source: 'platform' },
  { provider: 'openai', model: 'text-embedding-3-small', source: 'user' },
  { provider: 'openai', model: 'gpt-4-turbo', source: 'user' },
];
const rareEvery = 100_000;
export const rareModel = 'gpt-4-turbo';

/** @param n  counts the busy person's requests */
const kindOf = (n: number): number => (n % rareEvery === rareEvery / 2 ? kinds.length - 1 : n % (kinds.length - 1));

async function writeRequests({ file, into, tables: t, users, rows, busyEvery, mixed }: Writing & Required<SeedSize>): Promise<void> {
  const request = into(t.request);
  const sums = sumsInto({ file, into, tables: t, users, mixed });
  const endMs = Date.now() - hourMs;
  const startMs = Math.max(endMs - spanDays * dayMs, startOf(0) + dayMs);
  const people = Math.max(1, Math.ceil((rows * bucketMs) / (endMs - startMs) / together));
  const ids = Array.from({ length: rows > 0 ? users : 0 }, (_, person) => {
    const keyId = idOf('key', person);
    return {
      bootId: idOf('boot', 0),
      userId: idOf('user', person),
      tier: tierOf(person, mixed),
      tokenId: idOf('token', person),
      keyId,
      firstKeyId: keyId,
    };
  });
  await inTransactions(file, rows, (n) => {
    const startedAt = startMs + Math.floor((n * (endMs - startMs)) / rows);
    // Neighbours are strangers, and the next quarter of an hour belongs to others: 7,919 and 104,729 are prime.
    const anybody = (Math.floor(startedAt / bucketMs) * 7_919 + (n % people) * 104_729) % users;
    const isBusy = busyEvery > 0 && n % busyEvery === 0;
    const visit = mixed ? (anybody + Math.floor(startedAt / bucketMs)) % (kinds.length - 1) : 0;
    const [person, kind] = isBusy ? [0, kindOf(n / busyEvery)] : [anybody, visit];
    const what = { ...kinds[kind], route: '/v1/chat/completions', streamed: false, state: 'done', status: 200, estimated: false };
    const counts = { ...tokens, cacheWrite1hTokens: 0, audioInputTokens: 0, audioOutputTokens: 0, costNanoUsd };
    request({
      id: idAt(startedAt),
      ...ids[person],
      ...(kinds[kind]?.source === 'platform' && { keyId: null }),
      ...what,
      ...counts,
      startedAt,
      firstByteAt: startedAt + 400,
      endedAt: startedAt + 1_300,
    });
    sums.add(person, kind, startedAt);
  });
  sums.end();
}

/** The sums of requests that come in the order of time: each row of them is written once, when its time is over. */
function sumsInto({ file, into, tables: t, mixed }: Writing) {
  const [usageUser, usageTotal, usageUserDay, keyTotals] = [into(t.usageUser), into(t.usageTotal), into(t.usageUserDay), into(t.keyTotals)];
  const [inBucket, inDay, inAll] = [new Map<number, number>(), new Map<number, number>(), new Map<number, number>()];
  let [bucket, day, lastMs] = [0, 0, 0];

  const sumOf = (requests: number) => ({
    ...Object.fromEntries(Object.entries({ ...tokens, costNanoUsd }).map(([name, each]) => [name, each * requests])),
    ...{ requests, unpricedRequests: 0, unmeasuredRequests: 0 },
  });

  /** A person and a kind as one number, and back. */
  const placeOf = (person: number, kind: number) => person * kinds.length + kind;
  const at = (place: number) => ({ person: Math.floor(place / kinds.length), ...(kinds[place % kinds.length] ?? chat) });

  function endBucket(): void {
    /** By tier and kind. */
    const all = new Map<string, number>();
    for (const [place, requests] of inBucket) {
      const { person, ...kind } = at(place);
      const keyId = kind.source === 'user' ? idOf('key', person) : '';
      usageUser({ userId: idOf('user', person), bucket, ...kind, keyId, ...sumOf(requests) });
      addTo(all, `${tierOf(person, mixed)} ${place % kinds.length}`, requests);
    }
    for (const [key, requests] of all) {
      const [tier, kind] = key.split(' ');
      usageTotal({ bucket, ...kinds[Number(kind)], tier, ...sumOf(requests) });
    }
    inBucket.clear();
  }

  function endDay(): void {
    const bySource = new Map<string, number>();
    for (const [place, requests] of inDay) addTo(bySource, `${at(place).person} ${at(place).source}`, requests);
    for (const [key, requests] of bySource) {
      const [person, source] = key.split(' ');
      usageUserDay({ day, userId: idOf('user', Number(person)), source, ...sumOf(requests) });
    }
    inDay.clear();
  }

  function endAll(): void {
    const byProvider = new Map<string, number>();
    for (const [place, requests] of inAll)
      if (at(place).source === 'user') addTo(byProvider, `${at(place).person} ${at(place).provider}`, requests);
    for (const [key, requests] of byProvider) {
      const [person, provider] = key.split(' ');
      keyTotals({ owner: idOf('user', Number(person)), provider, position: 0, ...sumOf(requests), lastUsedAt: lastMs });
    }
  }

  return {
    add(person: number, kind: number, startedAt: number): void {
      const [itsBucket, itsDay] = [startedAt - (startedAt % bucketMs), startedAt - (startedAt % dayMs)];
      if (itsBucket !== bucket) endBucket();
      if (itsDay !== day) endDay();
      [bucket, day, lastMs] = [itsBucket, itsDay, startedAt];
      for (const counts of [inBucket, inDay, inAll]) addTo(counts, placeOf(person, kind), 1);
    },
    end(): void {
      file.exec('begin');
      endBucket();
      endDay();
      endAll();
      file.exec('commit');
    },
  };
}

function addTo<Key>(counts: Map<Key, number>, key: Key, more: number): void {
  counts.set(key, (counts.get(key) ?? 0) + more);
}

/** Writes `count` rows, many in a transaction; in between, the process hears when it is to end. */
async function inTransactions(file: DatabaseSync, count: number, write: (n: number) => void): Promise<void> {
  for (let from = 0; from < count; from += perTransaction) {
    file.exec('begin');
    for (let n = from; n < Math.min(from + perTransaction, count); n += 1) write(n);
    file.exec('commit');
    await turn();
  }
}

/** An index is made of millions of sorted rows in a tenth of the time that it takes to keep it up to date with each. */
async function withoutIndex(file: DatabaseSync, name: string, work: () => Promise<void>): Promise<void> {
  const { sql: text } = file.prepare('select sql from sqlite_master where name = ?').get(name) as { sql: string };
  file.exec(`drop index ${name}`);
  await work();
  file.exec(text);
}

const holesOf = (table: SQLiteTable) =>
  Object.fromEntries(Object.keys(getTableColumns(table)).map((name) => [name, sql.placeholder(name)]));

/**
 * The master key is changed under load, and whoever changes it is killed, again and again: now the command, now a second server that was
 * asked to by an administrator. Another server goes on serving meanwhile, and people replace keys. After each kill every sealed row is
 * opened by another SQLite than the program's own, with purposes and contexts that are written down here once more.
 */
import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { openDb } from '@synthstack/core/db';
import { createKeyring, type Keyring, type Purpose } from '@synthstack/core/keyring';
import { quantile } from '../bench/figures.ts';
import { createModules } from '../src/app.ts';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/ports/log.ts';
import { freePort, freshSecrets, type Place, place, type Running } from '../test/process.ts';
import { type ScriptedProvider, startProvider } from '../test/provider.ts';
import { ask, headersFor, pathOf } from './client.ts';
import { createRandom, type Random } from './random.ts';
import { createReport, type Findings, type Rig } from './report.ts';

const people = 24;
const clients = 8;
const keysAKill = 10_000 / 30;

interface Person {
  id: string;
  token: string;
  /** Their key, and the one that is about to take its place. */
  apiKey: string;
  next: string | null;
}

interface Stage {
  place: Place;
  provider: ScriptedProvider;
  random: Random;
  found: Findings;
  ports: [serving: number, rotating: number];
  env: Record<string, string>;
  people: Person[];
  adminToken: string;
  masterKeys: string[];
  /** By row: what it must open to. */
  plaintexts: Map<string, string>;
  tally: { requests: number; replaced: number; opened: number; rounds: number; byCommand: number; byServer: number; partly: number };
  latenciesMs: number[];
}

export const rig: Rig = {
  summary: 'the master key is changed under load by processes that are killed: every key opens at every point, no request fails',
  times: 30,
  unit: 'kills',
  async run({ times, seed, say }) {
    const found = createReport();
    await using provider = await startProvider();
    const ports: Stage['ports'] = [await freePort(), await freePort()];
    const { ENCRYPTION_KEY: masterKey = '', AUTH_SECRET = '' } = freshSecrets();
    const env = environment(provider, AUTH_SECRET);
    await using folder = await place({ ...env, ENCRYPTION_KEY: masterKey });
    const stage: Stage = {
      ...{ place: folder, provider, random: createRandom(seed), found, ports, env, latenciesMs: [] },
      ...{ people: [], adminToken: '', masterKeys: [masterKey], plaintexts: new Map() },
      tally: { requests: 0, replaced: 0, opened: 0, rounds: 0, byCommand: 0, byServer: 0, partly: 0 },
    };
    await seedPeople(stage);
    await seedRows(stage, Math.round(times * keysAKill));
    say(`${stage.plaintexts.size} sealed rows`);
    for (let kills = 0; kills < times; ) kills = await round(stage, { kills, times, say });
    await endWithoutFormerKey(stage);
    tell(stage, times);
    return found;
  },
};

// The stage

const environment = (provider: ScriptedProvider, authSecret: string): Record<string, string> => ({
  AUTH_SECRET: authSecret,
  PUBLIC_URL: 'http://byok.rig',
  OPENAI_BASE_URL: provider.openaiUrl,
  ANTHROPIC_BASE_URL: provider.anthropicUrl,
  LOG_LEVEL: 'error',
  LOG_FORMAT: 'json',
});

const newKey = (): string => `sk-proj-rig-${randomBytes(18).toString('base64url')}`;
const databaseOf = ({ place: { folder } }: Stage): string => join(folder, 'data', 'byok.db');

async function seedPeople(stage: Stage): Promise<void> {
  const { place: at, provider } = stage;
  const log = createLog({ level: 'error', format: 'json', write: () => undefined });
  const { accounts, tokens, vault, outbound, db } = await createModules(loadConfig({ ...at.env, DATA_DIR: join(at.folder, 'data') }), {
    log,
  });
  const unused = `${'0'.repeat(32)}:${'0'.repeat(128)}`;
  const add = (admin: boolean) =>
    accounts.add({ email: `${randomBytes(6).toString('hex')}@example.com`, password: { hash: unused }, tier: 'premium', admin });
  const tokenOf = async (id: string) => (await tokens.create(id, { name: 'rig', scopes: ['gateway', 'manage'] })).secret;
  for (let i = 0; i < people; i += 1) {
    const { userId: id } = await add(false);
    const apiKey = newKey();
    provider.key(apiKey, 'good');
    await vault.save({ userId: id, byok: true }, { provider: 'openai', apiKey });
    stage.people.push({ id, token: await tokenOf(id), apiKey, next: null });
  }
  stage.adminToken = await tokenOf((await add(true)).userId);
  await outbound.close();
  await db.close();
}

/** Keys of people who ask nothing, the platform's, and of each other sealed thing a twentieth as many. */
async function seedRows(stage: Stage, keys: number): Promise<void> {
  const keyring = createKeyring({ current: stage.masterKeys[0] ?? '' });
  const db = await openDb({ url: `file:${databaseOf(stage)}` });
  const { tables, orm } = db;
  const now = new Date();
  const times = { createdAt: now, updatedAt: now };
  const later = new Date(Date.now() + 86_400_000);
  function sealed(table: string, id: string, purpose: Purpose, context: string[]) {
    const plaintext = newKey();
    stage.plaintexts.set(`${table} ${id}`, plaintext);
    return keyring.seal(purpose, context, plaintext);
  }
  const many = (count: number) => Array.from({ length: count }, (_, i) => i);
  for (let from = 0; from < keys - people; from += 500) {
    const rows = many(Math.min(500, keys - people - from)).map((i) => {
      const id = `filler-${from + i}`;
      const owner = from + i === 0 ? 'platform' : `owner-${from + i}`;
      const purpose = owner === 'platform' ? 'platform-key' : 'provider-key';
      const row = { id, owner, provider: 'openai' as const, keyHint: '****...rig1', status: 'valid' as const, ...times };
      return { ...row, ...sealed('provider_key', id, purpose, [owner, 'openai', id]) };
    });
    await orm.insert(tables.providerKey).values(rows);
  }
  for (const i of many(Math.max(5, Math.round(keys / 20)))) {
    const userId = `rig-user-${i}`;
    const [c, m] = [`conversation-${i}`, `mail-${i}`];
    await orm.insert(tables.user).values({ id: userId, name: 'Rig', email: `${userId}@example.com`, ...times });
    await orm.insert(tables.conversation).values({
      ...{ id: c, userId, agent: 'general', title: Buffer.alloc(1), ...times },
      ...sealed('conversation', c, 'conversation', [userId, c]),
    });
    await orm
      .insert(tables.twoFactor)
      .values({ userId, triesEndAt: now, createdAt: now, ...sealed('two_factor', userId, 'totp', [userId]) });
    await orm.insert(tables.mailOutbox).values({
      ...{ id: m, userId, kind: 'reset_password', state: 'waiting' as const, dueAt: later, expiresAt: later, createdAt: now },
      ...sealed('mail_outbox', m, 'mail', [m, 'reset_password']),
    });
  }
  await db.close();
}

const isUp = /SynthStack BYOK \S+ is at /;

const envOf = ({ env, masterKeys, ports }: Stage, which: 0 | 1): Record<string, string> => ({
  ...env,
  PORT: String(ports[which]),
  ENCRYPTION_KEY: masterKeys.at(-1) ?? '',
  ENCRYPTION_KEY_PREVIOUS: masterKeys.slice(-2, -1).join(','),
});

// One master key to the next

interface RoundOptions {
  kills: number;
  times: number;
  say(line: string): void;
}

/** From one master key to the next, with as many kills as there is time for. @returns the kills so far */
async function round(stage: Stage, { kills: before, times, say }: RoundOptions): Promise<number> {
  const { place: at, masterKeys, found, tally } = stage;
  masterKeys.push(randomBytes(32).toString('hex'));
  tally.rounds += 1;
  const server = at.start(['serve'], envOf(stage, 0));
  await server.says(isUp);
  const load = startLoad(stage);
  let kills = before;
  for (let left = audit(stage); left > 0 && kills < times; left = audit(stage)) {
    kills += 1;
    if (kills % 4 === 0) await killServer(stage);
    else await killCommand(stage);
    if (kills % 10 === 0) say(`${kills} kills, ${tally.requests} requests, ${left} rows were left, ${found.broken.length} broken`);
  }
  const { code, err } = await at.start(['keys', 'rotate'], envOf(stage, 1)).ended;
  found.promise(code === 0, `The last rotation ended with ${code}: ${err}`);
  found.promise(err.includes('take it out of ENCRYPTION_KEY_PREVIOUS'), `It did not name the former key: ${err}`);
  found.promise(audit(stage) === 0, 'Rows are left on the former key.');
  found.promise(canaries(stage).length === 1, 'A former canary is left.');
  await load.end();
  await endServer(stage, server);
  return kills;
}

async function killCommand(stage: Stage): Promise<void> {
  const command = stage.place.start(['keys', 'rotate'], envOf(stage, 1));
  await Promise.race([command.says(/Sealed anew: /), command.ended]);
  await wait(stage.random.int(0, stage.random.chance(0.3) ? 20 : 600));
  await command.stop('SIGKILL');
  stage.tally.byCommand += 1;
}

async function killServer(stage: Stage): Promise<void> {
  const server = stage.place.start(['serve'], envOf(stage, 1));
  await server.says(isUp);
  const res = await fetch(`http://127.0.0.1:${stage.ports[1]}/api/v1/admin/rotation`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stage.adminToken}`, 'content-type': 'application/json' },
    body: '{}',
  });
  stage.found.promise(res.status === 200, `The administrator was answered ${res.status}: ${await res.text()}`);
  await wait(stage.random.int(0, stage.random.chance(0.3) ? 20 : 600));
  await server.stop('SIGKILL');
  stage.tally.byServer += 1;
}

async function endServer({ found }: Stage, server: Running): Promise<void> {
  const { code } = await server.stop('SIGTERM');
  found.promise(code === 0, `SIGTERM ended the server with ${code}, not 0.`);
}

/** With the former key gone, the server starts, and everybody is answered on their own key. */
async function endWithoutFormerKey(stage: Stage): Promise<void> {
  const { found, place: at } = stage;
  const server = at.start(['serve'], { ...envOf(stage, 0), ENCRYPTION_KEY_PREVIOUS: '' });
  await server.says(isUp);
  const agent = new Agent({ keepAlive: true });
  for (const person of stage.people) await sendOne(stage, person, agent);
  agent.destroy();
  await endServer(stage, server);
  found.promise(stage.tally.requests > 0, 'Nothing was asked.');
}

// The load

function startLoad(stage: Stage) {
  const agent = new Agent({ keepAlive: true });
  let isOver = false;
  const asking = Array.from({ length: clients }, async () => {
    while (!isOver) await sendOne(stage, stage.random.pick(stage.people), agent);
  });
  const replacing = (async () => {
    for (; !isOver; await wait(400)) await replaceOne(stage);
  })();
  return {
    async end(): Promise<void> {
      isOver = true;
      await Promise.all([...asking, replacing]);
      agent.destroy();
    },
  };
}

let tags = 0;

async function sendOne({ ports, provider, found, tally, latenciesMs, random }: Stage, person: Person, agent: Agent): Promise<void> {
  tags += 1;
  const tag = `rig-${tags}`;
  const stream = random.chance(0.5);
  const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }], ...(stream && { stream }) });
  const may = new Set([person.apiKey, person.next]);
  const startedAt = performance.now();
  const had = await ask({ port: ports[0], path: pathOf.openai, headers: headersFor('openai', person.token, tag), body, agent }).over;
  latenciesMs.push(performance.now() - startedAt);
  tally.requests += 1;
  const isAnswered = had.status === 200 && had.complete && had.source === 'user';
  found.promise(
    isAnswered,
    `${tag} was answered ${had.status} by ${had.source}, ${had.complete ? 'whole' : 'in part'}: ${had.body.toString().slice(0, 200)}`,
  );
  may.add(person.apiKey).add(person.next);
  const seen = provider.requests.find(({ headers }) => headers['x-client-request-id'] === tag);
  found.promise(may.has(seen?.key ?? null), `${tag} came with another key than ${person.id}'s.`);
  if (provider.requests.length > 2_000) provider.requests.splice(0, 1_000);
}

/** Somebody puts another key in the place of theirs, while it may just be sealed anew. */
async function replaceOne({ people: all, random, provider, ports, found, tally }: Stage): Promise<void> {
  const person = random.pick(all);
  person.next = newKey();
  provider.key(person.next, 'good');
  const res = await fetch(`http://127.0.0.1:${ports[0]}/api/v1/api-keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ provider: 'openai', apiKey: person.next }),
  });
  // The 20 checks a minute are theirs too.
  if (res.status === 201) {
    person.apiKey = person.next;
    tally.replaced += 1;
  } else found.promise(res.status === 429, `A replacement was answered ${res.status}: ${await res.text()}`);
  person.next = null;
}

// The audit

const sealedRows = `
  select 'provider_key' as tbl, id, owner, provider, encrypted_blob, nonce, master_key_id from provider_key
  union all select 'conversation', id, user_id, null, encrypted_blob, nonce, master_key_id from conversation
  union all select 'two_factor', user_id, user_id, null, encrypted_blob, nonce, master_key_id from two_factor
  union all select 'mail_outbox', id, kind, null, encrypted_blob, nonce, master_key_id from mail_outbox where encrypted_blob is not null`;

interface SealedRow {
  tbl: string;
  id: string;
  owner: string;
  provider: string | null;
  encrypted_blob: Uint8Array;
  nonce: Uint8Array;
  master_key_id: string;
}

function placeOf({ tbl, id, owner, provider }: SealedRow): [purpose: Purpose, context: string[]] {
  if (tbl === 'provider_key') return [owner === 'platform' ? 'platform-key' : 'provider-key', [owner, provider ?? '', id]];
  if (tbl === 'two_factor') return ['totp', [id]];
  return tbl === 'conversation' ? ['conversation', [owner, id]] : ['mail', [id, owner]];
}

/** Opens every row. @returns how many are still sealed with the former key */
function audit(stage: Stage): number {
  const { found, masterKeys, plaintexts, tally } = stage;
  const [former = '', current = ''] = masterKeys.slice(-2);
  const keyring = createKeyring({ current, previous: [former] });
  using db = openReadOnly(stage);
  const rows = db.all(sealedRows) as unknown as SealedRow[];
  const seen = new Set<string>();
  let left = 0;
  for (const row of rows) {
    const name = `${row.tbl} ${row.id}`;
    const text = opened(keyring, row);
    const expected = plaintexts.get(name);
    seen.add(name);
    found.promise(text !== null, `${name} does not open.`);
    found.promise(expected === undefined || text === expected, `${name} opens to something else.`);
    if (row.master_key_id !== keyring.sealingKeyId) left += 1;
  }
  for (const name of plaintexts.keys()) found.promise(seen.has(name), `${name} is gone.`);
  found.promise(
    db.all(`select 1 from provider_key where owner not like 'owner-%' and owner <> 'platform'`).length === people,
    'A person lost a key.',
  );
  tally.opened += rows.length;
  if (left > 0 && left < rows.length) tally.partly += 1;
  return left;
}

function opened(keyring: Keyring, row: SealedRow): string | null {
  try {
    const [purpose, context] = placeOf(row);
    const sealed = { masterKeyId: row.master_key_id, nonce: Buffer.from(row.nonce), encryptedBlob: Buffer.from(row.encrypted_blob) };
    return keyring.open(purpose, context, sealed).toString();
  } catch {
    return null;
  }
}

function canaries(stage: Stage): unknown[] {
  using db = openReadOnly(stage);
  return db.all('select id from master_key');
}

function openReadOnly(stage: Stage): Disposable & { all(sql: string): unknown[] } {
  const db = new DatabaseSync(databaseOf(stage), { readOnly: true, timeout: 5_000 });
  return { all: (sql) => db.prepare(sql).all(), [Symbol.dispose]: () => db.close() };
}

// What it tells

function tell({ found, tally, plaintexts, latenciesMs }: Stage, times: number): void {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  found.figure('kills of the command, of a server that rotates', `${tally.byCommand}, ${tally.byServer} of ${times}`);
  found.figure('master keys, one after another', tally.rounds + 1);
  found.figure('sealed rows', plaintexts.size + people);
  found.figure('rows opened after kills', tally.opened);
  found.figure('looks that found some rows under each of two keys', tally.partly);
  found.figure('requests meanwhile, all answered on the own key', tally.requests);
  found.figure('keys replaced meanwhile', tally.replaced);
  found.figure('request, p50 and p99', `${quantile(sorted, 0.5).toFixed(1)} ms, ${quantile(sorted, 0.99).toFixed(1)} ms`);
}

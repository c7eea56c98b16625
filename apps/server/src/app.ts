/** The only wiring: builds every module once, in order, and hands each what it needs. */
import { AppError, type ProviderId, type TierName } from '@synthstack/core';
import { type Db, openDb, type PgConnection } from '@synthstack/core/db';
import { createKeyring } from '@synthstack/core/keyring';
import { createAccounts } from './accounts.ts';
import { createAccountRemoval } from './accounts-removal.ts';
import { createAgents } from './agents.ts';
import { type Audit, createAudit } from './audit.ts';
import { type Auth, createAuth } from './auth.ts';
import { createBilling } from './billing.ts';
import { createTill } from './billing-till.ts';
import { type Boot, startBoot } from './boot.ts';
import { createCallers } from './callers.ts';
import { createCheckLimits } from './check-limits.ts';
import type { Config } from './config.ts';
import { createConversations } from './conversations.ts';
import { createGateway } from './gateway.ts';
import { createGenerationCache } from './generation.ts';
import { createIdentity } from './identity.ts';
import { createIssuerKeys } from './identity-keys.ts';
import { createOidc } from './identity-oidc.ts';
import { createLimits } from './limits.ts';
import { createMail } from './mail.ts';
import { createMeter } from './meter.ts';
import { createLive } from './meter-live.ts';
import { createRepricing } from './meter-repricing.ts';
import { createRetention } from './meter-retention.ts';
import { createMetrics } from './metrics.ts';
import { createNotices } from './notices.ts';
import { createNoticesLive } from './notices-live.ts';
import { createNoticeMail } from './notices-mail.ts';
import { createPlans, type Plans } from './plans.ts';
import { createPlanEndings } from './plans-endings.ts';
import { type Clock, repeatedly, systemClock } from './ports/clock.ts';
import { createMemoryCounters } from './ports/counters.ts';
import { createLog, type Log } from './ports/log.ts';
import { createMailer } from './ports/mail.ts';
import { createOutbound, type Outbound } from './ports/outbound.ts';
import { createPriceBook } from './prices.ts';
import { createPriceFeed } from './prices-feed.ts';
import { createSender } from './providers/send.ts';
import { createRelay } from './relay/relay.ts';
import { createSessionWatch } from './session-watch.ts';
import { createTokens } from './tokens.ts';
import { createTraces } from './traces.ts';
import { createVault, type StoredKey, type UsableKey } from './vault.ts';

export interface Ports {
  clock: Clock;
  log: Log;
  /** Instead of connecting to DATABASE_URL's PostgreSQL. */
  pg?: PgConnection;
  /** Makes every commit take this much longer, to see what a slow disk does. */
  commitDelayMs?: number;
  /** How long an opened row may be held back, in ms (meter-openings.ts). */
  holdMs?: number;
}

export type App = Awaited<ReturnType<typeof createApp>>;
/** What procedures may use. */
export type Modules = Pick<
  App,
  | 'config'
  | 'clock'
  | 'vault'
  | 'meter'
  | 'live'
  | 'limits'
  | 'plans'
  | 'tokens'
  | 'accounts'
  | 'databaseAhead'
  | 'removal'
  | 'auth'
  | 'notices'
  | 'noticesLive'
  | 'mail'
  | 'agents'
  | 'conversations'
  | 'billing'
  | 'oidc'
  | 'prices'
  | 'repricing'
>;

const recheckEveryMs = 10_000;
const holdMs = 20;
const mailEveryMs = 5_000;
const tidyEveryMs = 3_600_000;

/** All modules over one open database, with nothing that runs on its own yet: enough for a command. @throws AppError */
export async function createModules(config: Config, given: Partial<Ports> = {}) {
  const clock = given.clock ?? systemClock;
  const log = given.log ?? createLog({ level: config.logLevel, format: config.logFormat });
  const { encryptionKey, authSecret } = config;
  if (!encryptionKey || !authSecret) throw new AppError('invalid_config', 'ENCRYPTION_KEY and AUTH_SECRET must be set.');
  const keyring = createKeyring({ current: encryptionKey.expose(), previous: config.previousEncryptionKeys.map((key) => key.expose()) });
  const db = await openDb({
    url: config.databaseUrl,
    ...(given.pg && { pg: given.pg }),
    ...(given.commitDelayMs && { commitDelayMs: given.commitDelayMs }),
  });
  try {
    await refuseDamaged(db);
    const outbound = createOutbound();
    const sender = createSender({ outbound, baseUrls: config.baseUrls, timeouts: config.timeouts, clock });
    const audit = createAudit({ db, clock });
    const mailer = mailerOf(config);
    const notices = createNotices({ db, clock, audit: audit.entry, mail: mailer !== null });
    const vault = createVault({
      db,
      keyring,
      sender,
      clock,
      limits: createCheckLimits(clock),
      audit: audit.entry,
      notice: notices.entry,
      warn: log.warn,
      platformSecrets: config.platformKeys,
    });
    const plans = createPlans({ db, clock, audit: audit.entry });
    const tokens = createTokens({ db, clock, audit: audit.entry });
    const { warn } = log;
    const mail = createMail({
      ...{ db, clock, keyring, mailer, warn },
      publicUrl: config.publicUrl,
      notice: notices.entry,
      countSeal: vault.countSeal,
    });
    const auth = createAuth({
      db,
      clock,
      publicUrl: config.publicUrl,
      secret: authSecret,
      signUp: config.signUp,
      local: config.localAccounts,
      trustedProxies: config.trustProxy,
      rateLimit: config.signInLimits,
      ...{ keyring, mail, countSeal: vault.countSeal },
      audit: audit.entry,
      notice: notices.entry,
      onError: (error) => log.error({}, error.message, error.cause),
    });
    const accounts = createAccounts({ db, clock, auth, plans, publicUrl: config.publicUrl, audit: audit.entry });
    const onError = (error: unknown) => log.error({}, 'What is left of a removed account could not be deleted; this is tried again', error);
    const removal = createAccountRemoval({ db, clock, audit: audit.entry, onError });
    await vault.openCanaries(config.acceptLoss ? 'accept-loss' : undefined);
    const prices = createPriceBook({ db, clock, audit: audit.entry });
    const conversations = createConversations({ db, keyring, clock, countSeal: vault.countSeal });
    return {
      ...{ config, clock, log, db, keyring, outbound, sender, mailer },
      ...{ audit, notices, mail, vault, plans, tokens, auth, accounts, removal, conversations, prices },
      ...(await createElsewhere(config, { db, clock, log, outbound, auth, plans, audit: audit.entry })),
    };
  } catch (error) {
    await db.close();
    throw error;
  }
}

interface ElsewhereParts {
  db: Db;
  clock: Clock;
  log: Log;
  outbound: Outbound;
  auth: Auth;
  plans: Plans;
  audit: Audit['entry'];
}

/** What the operator has at other services: an own sign-in, Stripe. Null: not configured. */
async function createElsewhere(config: Config, { db, clock, log, outbound, auth, plans, audit }: ElsewhereParts) {
  const { publicUrl } = config;
  const { issuer, audience, jwksUrl, ...claims } = config.identity;
  const keys = issuer && createIssuerKeys({ outbound, clock, issuer, jwksUrl });
  const identity = issuer && audience && keys ? createIdentity({ clock, keys, auth, plans, issuer, audience, ...claims, audit }) : null;
  const { clientId, clientSecret } = config.oidc;
  const { seal, open } = auth;
  const oidc =
    identity && issuer && clientId && clientSecret
      ? await createOidc({ outbound, clock, issuer, clientId, clientSecret, publicUrl, seal, open, admit: identity.admit })
      : null;
  const { secretKey, webhookSecret, tiers, apiUrl } = config.stripe;
  const till = secretKey && webhookSecret ? await createTill({ outbound, secretKey, webhookSecret, apiUrl }) : null;
  const billing = till && createBilling({ db, clock, log, till, plans, tiers, publicUrl });
  return { identity, oidc, billing };
}

/** The whole program, at work. @throws AppError */
export async function createApp(config: Config, ports: Partial<Ports> = {}) {
  const modules = await createModules(config, ports);
  const { clock, log, db, outbound, sender, vault, tokens, auth, plans, conversations, notices, mail, mailer, prices } = modules;
  await prices.fresh();
  const boot = await startBoot({ db, clock });
  const { price } = prices;
  const watchSession = createSessionWatch({ clock, session: auth.liveSession });
  const live = createLive({ db, clock, watchSession });
  const noticesLive = createNoticesLive({ db, clock, watchSession });
  const meter = createMeter({ db, clock, boot, price, holdMs: ports.holdMs ?? holdMs, changed: live.changed });
  const repricing = createRepricing({ db, price, nowMs: clock.now, log });
  prices.whenChanged(repricing.wake);
  const metrics = createMetrics({ version: config.version, openSockets: outbound.openSockets });
  const { url: tracesUrl, ...collector } = config.traces;
  const traces = tracesUrl === null ? null : createTraces({ ...collector, url: tracesUrl, version: config.version, clock, log, outbound });
  if (traces) metrics.watchCounts('trace_spans_total', 'Spans, by whether the collector has taken them.', 'outcome', traces.spans);
  await settleDead(boot);
  const limits = createLimits({ counters: createMemoryCounters(clock), refused: metrics.refused });
  limits.restore(await meter.slotsSince(startOfUtcDay(clock.now())));

  const callers = createCallers({ db, clock, tokens, auth, plans, identity: modules.identity });
  const keys = createGenerationCache<readonly StoredKey[]>(db);
  const platformKeys = createGenerationCache<UsableKey | null>(db);
  /** Each request asks for keys before it looks at a price. */
  const keysOf = (userId: string) => {
    const changing = prices.fresh();
    const load = () => keys.get(userId, () => vault.sealedOf(userId));
    return changing ? changing.then(load) : load();
  };
  const platformKey = (provider: ProviderId) => platformKeys.get(provider, () => vault.platformKey(provider));
  const rules = (tier: TierName) => ({
    models: config.platformModels[tier],
    price,
    maxOutput: config.platformMaxOutput[tier],
    betas: config.platformBetas,
  });
  const relay = createRelay({
    sender,
    vault,
    meter,
    metrics,
    limits,
    clock,
    log,
    ...{ keysOf, platformKey, rules },
    maxConcurrent: config.maxConcurrentRequests,
    fellBack: (userId, provider: ProviderId, reason) =>
      db
        .commit([
          notices.entry({
            userId,
            kind: 'fallback_used',
            dedupe: `fallback:${userId}:${provider}:${reason}:${utcDay(clock.now())}`,
            data: { provider, reason },
          }),
        ])
        .then(() => undefined),
  });
  let draining = false;
  let databaseAhead = false;
  const gateway = createGateway({
    callers,
    relay,
    meter,
    metrics,
    log,
    bodyLimitBytes: config.bodyLimitBytes,
    price,
    publicUrl: config.publicUrl,
    draining: () => draining,
    clock,
    stallMs: config.timeouts.idleMs,
    traces,
  });
  const agents = createAgents({
    ...{ db, clock, log, conversations, keysOf, platformKey, rules, watchSession },
    fetchFor: gateway.fetchFor,
    audit: modules.audit.entry,
    namesOf: modules.accounts.namesOf,
    bootId: boot.id,
  });
  metrics.watch('request_body_bytes_in_flight', 'Memory that the bodies of AI requests under way hold.', gateway.bodyBytes);

  // Nobody waits for either: until they are done, what is unknown is shown as unknown.
  repricing.wake();
  void modules.removal.goOn();
  const feed =
    config.pricesUrl === undefined
      ? null
      : createPriceFeed({ url: config.pricesUrl, db, clock, log, outbound, book: prices, notice: modules.notices.entry });
  feed?.start();

  const checking = repeatedly(clock, recheckEveryMs, () =>
    tried('Stored keys could not be checked again; this is tried again in seconds', async () => {
      // Where nobody asks anything, new prices are still to reach what waits for them.
      await prices.fresh();
      await vault.runRechecks();
      await lookAtSchema();
      await settleDead(boot);
    }),
  );

  const noticeMail = createNoticeMail({ db, clock, preferences: notices.preferences, mail: mail.entry });
  const post = repeatedly(clock, mailEveryMs, () =>
    tried('E-mail could not be sent; this is tried again in seconds', async () => {
      if (mail.available) await noticeMail.run();
      await mail.run();
    }),
  );

  const { usageRetentionDays: days } = config;
  const retention = days === null ? null : createRetention({ db, clock, days });
  const planEndings = createPlanEndings({ db, clock, notice: notices.entry });
  const tidying = repeatedly(clock, tidyEveryMs, () =>
    tried('Reminders could not be written, or old rows not deleted; the next hour tries again', async () => {
      await planEndings.run();
      for (const some of [notices.forgetOld, mail.forgetOld, auth.forgetOldPlaces, auth.links.forgetOld])
        while (!draining && (await some()) > 0);
      await modules.removal.goOn();
      const rows = (await retention?.run(() => draining)) ?? 0;
      if (rows > 0) log.info({ rows }, 'Deleted single requests for their age; their sums stay');
    }),
  );

  /** Another process may be of a newer version, and have brought the database to its own. Said once; requests go on. */
  async function lookAtSchema(): Promise<void> {
    if (databaseAhead) return;
    const { unknown } = await db.schemaState();
    databaseAhead = unknown.length > 0;
    if (databaseAhead)
      log.error(
        { migrations: unknown.join(', ') },
        'A newer version has changed the database: update this program, which may not understand all of it',
      );
  }

  async function tried(sentence: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!draining) log.error({}, sentence, error);
    }
  }

  async function settleDead(by: Boot): Promise<void> {
    const dead = await by.buryDead();
    const settled = await meter.settleDead(dead);
    if (settled > 0) log.warn({ requests: settled }, 'Settled requests that a process left open when it died');
    const cut = await conversations.settleDead();
    if (cut > 0) log.warn({ answers: cut }, 'Marked answers of agents that a process left open when it died');
  }

  return {
    ...modules,
    boot,
    meter,
    live,
    noticesLive,
    post,
    tidying,
    metrics,
    traces,
    limits,
    callers,
    relay,
    gateway,
    agents,
    repricing,
    get draining() {
      return draining;
    },
    get databaseAhead() {
      return databaseAhead;
    },
    /** From now on the gateway takes no new requests; those under way go on. Pages that only listen are sent away. */
    drain(): void {
      draining = true;
      live.stop();
      noticesLive.stop();
      agents.drain();
      checking.stop();
    },
    async close(): Promise<void> {
      draining = true;
      live.stop();
      noticesLive.stop();
      agents.interrupt();
      checking.stop();
      post.stop();
      tidying.stop();
      await Promise.all([repricing.stop(), modules.removal.stop(), feed?.stop(), agents.idle(), traces?.stop()]);
      await Promise.all([outbound.close(), mailer?.close()]);
      await Promise.all([auth.links.idle(), checking.idle(), post.idle(), tidying.idle()]);
      await tokens.flush();
      await boot.stop();
      await db.close();
    },
  };
}

/** @returns null: this server sends no e-mail */
function mailerOf({ mail: { server, from }, publicUrl }: Config) {
  return server && from ? createMailer({ server, from, name: new URL(publicUrl).hostname }) : null;
}

/** A start on a damaged file would make the damage worse. Larger files take too long for a start: `doctor` reads them whole. */
async function refuseDamaged(db: Db): Promise<void> {
  const damage = await db.integrity(256 * 1_048_576);
  if (damage === null) return;
  throw new AppError(
    'storage_unavailable',
    `The database is damaged (${damage}). Nothing was changed. Restore a backup, or ask for help with the file as it is.`,
  );
}

const dayMs = 86_400_000;
const startOfUtcDay = (ms: number): number => Math.floor(ms / dayMs) * dayMs;
const utcDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** The only wiring: builds every module once, in order, and hands each what it needs. */
import { AppError, type ProviderId, type TierName } from '@synthstack/core';
import { type Db, openDb, type PgConnection } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import { createAccounts } from './accounts.ts';
import { createAccountAdmin } from './accounts-admin.ts';
import { createAccountRemoval, presentIn } from './accounts-removal.ts';
import { createAccountSearch } from './accounts-search.ts';
import { createAgents } from './agents.ts';
import { createAnnouncements } from './announcements.ts';
import { type Audit, createAudit } from './audit.ts';
import { createAuditLog } from './audit-log.ts';
import { type Auth, createAuth } from './auth.ts';
import { type BackupParts, backUpBeforeMigrating } from './backup.ts';
import { createBackupRounds, lastBackup } from './backup-rounds.ts';
import { createBilling } from './billing.ts';
import { createTill } from './billing-till.ts';
import { type Boot, livingBoots, startBoot } from './boot.ts';
import { createBudgets, type OwnKey } from './budgets.ts';
import { createCallers } from './callers.ts';
import { createCheckLimits } from './check-limits.ts';
import type { Config } from './config.ts';
import { keyringOf } from './config-keyring.ts';
import { createConversations } from './conversations.ts';
import { createFallbackCap } from './fallback-cap.ts';
import { createGateway } from './gateway.ts';
import { createGenerationCache } from './generation.ts';
import { createHealth } from './health.ts';
import { createIdentity } from './identity.ts';
import { createIssuerKeys } from './identity-keys.ts';
import { createOidc } from './identity-oidc.ts';
import { createLimits } from './limits.ts';
import { createMail } from './mail.ts';
import { createMeter } from './meter.ts';
import { createBlocks } from './meter-blocks.ts';
import { createLive } from './meter-live.ts';
import { createPeopleUsage } from './meter-people.ts';
import { createPlatformUsage } from './meter-platform.ts';
import { createRepricing } from './meter-repricing.ts';
import { createRetention } from './meter-retention.ts';
import { createMetrics } from './metrics.ts';
import { createNotices } from './notices.ts';
import { createNoticesLive } from './notices-live.ts';
import { createNoticeMail } from './notices-mail.ts';
import { createPlans, effectivePlan, type Plans } from './plans.ts';
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
import { createRotation } from './rotation.ts';
import { createSessionWatch } from './session-watch.ts';
import { createSettings } from './settings.ts';
import { createTierTable } from './settings-tiers.ts';
import { createTokens } from './tokens.ts';
import { createTraces } from './traces.ts';
import { createVault, type UsableKey } from './vault.ts';

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
  | 'audit'
  | 'meter'
  | 'live'
  | 'platformUsage'
  | 'limits'
  | 'tiers'
  | 'budgets'
  | 'fallbackCap'
  | 'plans'
  | 'tokens'
  | 'accounts'
  | 'accountAdmin'
  | 'accountSearch'
  | 'announcements'
  | 'audit'
  | 'auditLog'
  | 'health'
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
  | 'rotation'
>;

const recheckEveryMs = 10_000;
const holdMs = 20;
const mailEveryMs = 5_000;
const tidyEveryMs = 3_600_000;
const blocksEveryMs = 10 * 60_000;

/** All modules over one open database, with nothing that runs on its own yet: enough for a command. @throws AppError */
export async function createModules(config: Config, given: Partial<Ports> = {}) {
  const clock = given.clock ?? systemClock;
  const log = given.log ?? createLog({ level: config.logLevel, format: config.logFormat });
  const { authSecret } = config;
  if (!config.encryptionKey || !authSecret) throw new AppError('invalid_config', 'ENCRYPTION_KEY and AUTH_SECRET must be set.');
  const keyring = keyringOf(config);
  const backup = backupParts(config, keyring, clock);
  const db = await openDb({
    url: config.databaseUrl,
    ...(backup && {
      beforeMigrating: async () => log.info({ file: await backUpBeforeMigrating(backup) }, 'Made a backup before changing the tables'),
    }),
    ...(given.pg && { pg: given.pg }),
    ...(given.commitDelayMs && { commitDelayMs: given.commitDelayMs }),
  });
  try {
    await refuseDamaged(db);
    const outbound = createOutbound({ nowMs: clock.now });
    const sender = createSender({ outbound, baseUrls: config.baseUrls, timeouts: config.timeouts, clock });
    const audit = createAudit({ db, clock });
    const mailer = mailerOf(config);
    const notices = createNotices({ db, clock, audit: audit.entry, mail: mailer !== null });
    const budgets = createBudgets({ db, clock, log, audit: audit.entry, notice: notices.entry });
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
      perProvider: config.ownKeysPerProvider,
      budgets,
      present: presentIn(db),
    });
    const settings = createSettings({ db, clock, audit: audit.entry, warn: log.warn });
    const tiers = createTierTable({
      settings,
      models: config.platformModels,
      maxOutput: config.platformMaxOutput,
      releasedMaxOutput: config.releasedMaxOutput,
      namesOf: (userIds) => accounts.namesOf(userIds),
    });
    const plans = createPlans({ db, clock, audit: audit.entry, tiers });
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
    const accountSearch = createAccountSearch({ db, clock, worthOf: effectivePlan });
    const accountAdmin = createAccountAdmin({ db, clock, audit: audit.entry, remove: removal.remove });
    const announcements = createAnnouncements({ db, clock, audit: audit.entry, namesOf: accounts.namesOf });
    await vault.openCanaries(config.acceptLoss ? 'accept-loss' : undefined);
    const prices = createPriceBook({ db, clock, audit: audit.entry });
    const conversations = createConversations({ db, keyring, clock, countSeal: vault.countSeal });
    const living = () => livingBoots({ db, clock });
    const rotation = createRotation({
      ...{ db, keyring, log, audit: audit.entry, countSeal: vault.countSeal, livingBoots: living, namesOf: accounts.namesOf },
      lastStart: async () => (await audit.list({ action: 'master_key.rotation_started', limit: 1 }))[0],
    });
    return {
      ...{ config, clock, log, db, keyring, backup, outbound, sender, mailer },
      ...{ audit, auditLog: createAuditLog({ db }), notices, mail, vault, budgets, settings, tiers, plans, tokens, auth },
      ...{ accounts, accountAdmin, accountSearch, removal, announcements, conversations, prices, rotation },
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
  const { clock, log, db, outbound, sender, vault, budgets, tokens, auth, plans, tiers, conversations, notices, mail, mailer, prices } =
    modules;
  await prices.fresh();
  await tiers.fresh();
  const boot = await startBoot({ db, clock, sealsWith: modules.keyring.sealingKeyId });
  const { price } = prices;
  const watchSession = createSessionWatch({ clock, session: auth.liveSession });
  const live = createLive({ db, clock, watchSession });
  const noticesLive = createNoticesLive({ db, clock, watchSession });
  const meter = createMeter({ db, clock, boot, price, budgets, holdMs: ports.holdMs ?? holdMs, changed: live.changed });
  const blocks = createBlocks({ db, clock });
  const platformUsage = { ...createPlatformUsage({ clock, blocks, price }), ...createPeopleUsage({ db, clock, blocks }) };
  const repricing = createRepricing({ db, price, budgets, nowMs: clock.now, log });
  prices.whenChanged(repricing.wake);
  const metrics = createMetrics({ version: config.version, openSockets: outbound.openSockets });
  const { url: tracesUrl, ...collector } = config.traces;
  const traces = tracesUrl === null ? null : createTraces({ ...collector, url: tracesUrl, version: config.version, clock, log, outbound });
  if (traces) metrics.watchCounts('trace_spans_total', 'Spans, by whether the collector has taken them.', 'outcome', traces.spans);
  await settleDead(boot);
  const limits = createLimits({ counters: createMemoryCounters(clock), refused: metrics.refused, tierOf: tiers.of });
  const fallbackCap = createFallbackCap({
    ...{ db, clock, audit: modules.audit.entry },
    counters: createMemoryCounters(clock),
    cache: createGenerationCache(db),
  });
  const slots = await meter.slotsSince(startOfUtcDay(clock.now()));
  limits.restore(slots);
  fallbackCap.restore(slots.filter(({ fellBack }) => fellBack));

  const callers = createCallers({ db, clock, tokens, auth, plans, identity: modules.identity });
  const keys = createGenerationCache<readonly OwnKey[]>(db);
  const platformKeys = createGenerationCache<UsableKey | null>(db);
  /** Each request asks for keys before it looks at a price. */
  const keysOf = (userId: string) => {
    const changing = prices.fresh();
    const load = () => keys.get(userId, async () => budgets.attach(userId, await vault.usedOf(userId)));
    const loaded = changing ? changing.then(load) : load();
    return loaded instanceof Promise ? loaded.then((all) => budgets.fresh(userId, all)) : budgets.fresh(userId, loaded);
  };
  const platformKey = (provider: ProviderId) => platformKeys.get(provider, () => vault.platformKey(provider));
  const rules = (tier: TierName) => ({
    models: tiers.of(tier).models,
    price,
    maxOutput: tiers.of(tier).maxOutput,
    betas: config.platformBetas,
  });
  const relay = createRelay({
    sender,
    vault,
    meter,
    metrics,
    limits,
    budgets: { ...budgets, reserve: (request, amountNanoUsd) => budgets.reserve(request, boot.id, amountNanoUsd) },
    fallbackCap,
    price,
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
  const health = createHealth({
    ...{ db, clock, boot, sender, vault, dataDir: config.dataDir, version: config.version, mail: mail.available },
    ...{ backups: config.backups, newestBackup: lastBackup },
    pricesUrl: config.pricesUrl !== undefined,
    waitingModels: repricing.waiting,
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
      await vault.forgetRetired();
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

  const backups = modules.backup && createBackups(config, modules.backup);
  if (backups) {
    metrics.watch(
      'backup_last_timestamp_seconds',
      'When the newest scheduled backup was made, since 1970; 0: there is none.',
      () => (backups.lastAt() ?? 0) / 1_000,
    );
    metrics.watch('backup_failing', '1: the last try at a scheduled backup has failed.', () => Number(backups.isFailing()));
  }

  function createBackups({ backups: { dir, everyHours, keep } }: Config, parts: BackupParts) {
    if (dir === undefined) return null;
    return createBackupRounds({ ...{ dir, everyHours, keep, clock, log }, backup: parts, commit: db.commit, notice: notices.entry });
  }

  const { usageRetentionDays: days } = config;
  const retention = days === null ? null : createRetention({ db, clock, days });
  const planEndings = createPlanEndings({ db, clock, notice: notices.entry });
  const tidying = repeatedly(clock, tidyEveryMs, () =>
    tried('Reminders could not be written, or old rows not deleted; the next hour tries again', async () => {
      await planEndings.run();
      await vault.remindOfExpiry();
      for (const some of [notices.forgetOld, meter.forgetOldUses, mail.forgetOld, auth.forgetOldPlaces, auth.links.forgetOld])
        while (!draining && (await some()) > 0);
      await modules.removal.goOn();
      const rows = (await retention?.run(() => draining)) ?? 0;
      if (rows > 0) log.info({ rows }, 'Deleted single requests for their age; their sums stay');
    }),
  );

  const blocking = repeatedly(clock, blocksEveryMs, () =>
    tried('Sums of past days could not be put together; this is tried again in minutes', async () => {
      await blocks.run();
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
    await budgets.releaseDead();
    if (settled > 0) log.warn({ requests: settled }, 'Settled requests that a process left open when it died');
    const cut = await conversations.settleDead();
    if (cut > 0) log.warn({ answers: cut }, 'Marked answers of agents that a process left open when it died');
  }

  return {
    ...modules,
    boot,
    meter,
    live,
    blocks,
    platformUsage,
    noticesLive,
    post,
    tidying,
    backups,
    metrics,
    traces,
    limits,
    fallbackCap,
    callers,
    relay,
    gateway,
    agents,
    health,
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
      blocks.stop();
      blocking.stop();
      backups?.stop();
      await Promise.all([repricing.stop(), modules.removal.stop(), feed?.stop(), agents.idle(), modules.rotation.stop(), traces?.stop()]);
      await Promise.all([outbound.close(), mailer?.close()]);
      await Promise.all([
        auth.links.idle(),
        budgets.idle(),
        checking.idle(),
        post.idle(),
        tidying.idle(),
        blocking.idle(),
        backups?.idle(),
      ]);
      await tokens.flush();
      await boot.stop();
      await db.close();
    },
  };
}

/** @returns null: PostgreSQL, which has tools of its own */
function backupParts({ databaseUrl, version, acceptLoss }: Config, keyring: Keyring, clock: Clock): BackupParts | null {
  if (!databaseUrl.startsWith('file:')) return null;
  return { database: databaseUrl.slice('file:'.length), keyring, version, nowMs: clock.now, acceptLoss };
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

/**
 * Every table, once, for SQLite and PostgreSQL. Each table has one owner: the module that writes it.
 * Rows of `request` and the sums outlive what they name, so they have no foreign keys.
 */
import { sql } from 'drizzle-orm';
import type { AgentDefinition } from '../contracts/agents.ts';
import type { AnnouncementKind } from '../contracts/announcements.ts';
import type { FallbackReason, KeySource, KeyStatus, ProviderId } from '../contracts/keys.ts';
import type { PlanSource, PlanState } from '../contracts/plans.ts';
import type { PriceOrigin } from '../contracts/prices.ts';
import type { TokenScope } from '../contracts/tokens.ts';
import type { ModelPrice } from '../money.ts';
import type { TierName } from '../tiers.ts';
import { columns, type Dialect } from './columns.ts';
import { textOrder } from './text-order.ts';

export type RequestState = 'open' | 'done' | 'failed';
/** uncertain: nobody knows whether it arrived; it is not sent again. dropped: nobody is to get it (any more). */
export type MailState = 'waiting' | 'sending' | 'sent' | 'uncertain' | 'failed' | 'expired' | 'dropped';
export type MessageState = 'open' | 'done' | 'stopped' | 'failed';
type StoredStatus = Exclude<KeyStatus, 'unreadable'>;

export function schema(dialect: Dialect) {
  const { table, index, unique, primaryKey, text, integer, boolean, instant, bytes, json } = columns(dialect);
  const { bytewise, folded, byDomain } = textOrder(dialect);

  /** Accounts, sessions and signing keys: better-auth's, written by auth.ts; its names are given. What people say of themselves: accounts.ts. */
  const user = table(
    'user',
    {
      id: text('id').primaryKey(),
      name: text('name').notNull(),
      email: text('email').notNull().unique(),
      emailVerified: boolean('email_verified').notNull().default(false),
      image: text('image'),
      role: text('role').$type<'user' | 'admin'>().notNull().default('user'),
      disabledAt: instant('disabled_at'),
      timezone: text('timezone'),
      locale: text('locale'),
      createdAt: instant('created_at').notNull(),
      updatedAt: instant('updated_at').notNull(),
    },
    // For administrators who look for somebody among a million (accounts-search.ts): each way of looking goes along one of them.
    (t) => [
      index('user_created').on(t.createdAt, t.id),
      // On SQLite the one that keeps addresses unique is in this order already.
      ...(dialect === 'postgres' ? [index('user_email').on(bytewise(t.email), t.id)] : []),
      index('user_name').on(folded(t.name), t.id),
      index('user_domain').on(byDomain(t.email), t.id),
      index('user_admin').on(t.createdAt, t.id).where(sql`role = 'admin'`),
      index('user_disabled').on(t.disabledAt, t.id).where(sql`disabled_at is not null`),
    ],
  );

  const session = table(
    'session',
    {
      id: text('id').primaryKey(),
      token: text('token').notNull().unique(),
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      ipAddress: text('ip_address'),
      userAgent: text('user_agent'),
      expiresAt: instant('expires_at').notNull(),
      createdAt: instant('created_at').notNull(),
      updatedAt: instant('updated_at').notNull(),
    },
    (t) => [index('session_user').on(t.userId)],
  );

  const account = table(
    'account',
    {
      id: text('id').primaryKey(),
      accountId: text('account_id').notNull(),
      providerId: text('provider_id').notNull(),
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      accessToken: text('access_token'),
      refreshToken: text('refresh_token'),
      idToken: text('id_token'),
      accessTokenExpiresAt: instant('access_token_expires_at'),
      refreshTokenExpiresAt: instant('refresh_token_expires_at'),
      scope: text('scope'),
      password: text('password'),
      createdAt: instant('created_at').notNull(),
      updatedAt: instant('updated_at').notNull(),
    },
    // Of people who come with an identity from elsewhere: `provider_id` is the issuer, `account_id` its name for them (identity.ts).
    (t) => [index('account_user').on(t.userId), unique('account_identity').on(t.providerId, t.accountId)],
  );

  const verification = table(
    'verification',
    {
      id: text('id').primaryKey(),
      identifier: text('identifier').notNull(),
      value: text('value').notNull(),
      expiresAt: instant('expires_at').notNull(),
      createdAt: instant('created_at').notNull(),
      updatedAt: instant('updated_at').notNull(),
    },
    (t) => [index('verification_identifier').on(t.identifier)],
  );

  const jwks = table('jwks', {
    id: text('id').primaryKey(),
    publicKey: text('public_key').notNull(),
    privateKey: text('private_key').notNull(),
    alg: text('alg'),
    crv: text('crv'),
    createdAt: instant('created_at').notNull(),
    expiresAt: instant('expires_at'),
  });

  /** From where somebody has signed in before: written by auth.ts, so that a sign-in from elsewhere is news. Neither is a whole address or user agent. */
  const signInPlace = table(
    'sign_in_place',
    {
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      /** Browser and system, or a program's name; '' where it has none. */
      device: text('device').notNull(),
      /** An IPv4 address, or the first half of an IPv6 one; '' where it is not known. */
      network: text('network').notNull(),
      firstAt: instant('first_at').notNull(),
      lastAt: instant('last_at').notNull(),
    },
    (t) => [primaryKey({ columns: [t.userId, t.device, t.network] }), index('sign_in_place_last').on(t.lastAt)],
  );

  /**
   * One-time links to an account, by the hash of what opens them: written by auth.ts. As long as one of the kind `confirm_email` is there, run
   * out or not, nobody has proved yet that the account's address is theirs, and nobody may sign in.
   */
  const accountLink = table(
    'account_link',
    {
      tokenHash: text('token_hash').primaryKey(),
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      kind: text('kind').$type<'reset_password' | 'confirm_email'>().notNull(),
      expiresAt: instant('expires_at').notNull(),
      createdAt: instant('created_at').notNull(),
    },
    (t) => [index('account_link_user').on(t.userId, t.kind), index('account_link_expires').on(t.expiresAt)],
  );

  /** The secret that a person's app makes codes from, sealed. Written by auth.ts, as the two tables after it. */
  const twoFactor = table(
    'two_factor',
    {
      userId: text('user_id')
        .primaryKey()
        .references(() => user.id, { onDelete: 'cascade' }),
      encryptedBlob: bytes('encrypted_blob').notNull(),
      nonce: bytes('nonce').notNull(),
      masterKeyId: text('master_key_id').notNull(),
      /** Null: shown, but no right code has come yet, so it asks nobody for one. */
      confirmedAt: instant('confirmed_at'),
      /** The half minute (since 1970) of the last code that was taken: it and those before it are not taken again. */
      lastStep: integer('last_step').notNull().default(0),
      /** Codes tried until `tries_end_at`. */
      tries: integer('tries').notNull().default(0),
      triesEndAt: instant('tries_end_at').notNull(),
      createdAt: instant('created_at').notNull(),
    },
    (t) => [unique('two_factor_nonce').on(t.masterKeyId, t.nonce)],
  );

  const backupCode = table(
    'backup_code',
    {
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      /** HMAC-SHA-256 with a key that is not in the database. */
      hash: text('hash').notNull(),
    },
    (t) => [primaryKey({ columns: [t.userId, t.hash] })],
  );

  const passkey = table(
    'passkey',
    {
      id: text('id').primaryKey(),
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      name: text('name').notNull(),
      /** As the browser names it, in base64url. */
      credentialId: text('credential_id').notNull().unique(),
      /** COSE (RFC 9052). */
      publicKey: bytes('public_key').notNull(),
      /** How often it signed, where it counts. */
      counter: integer('counter').notNull(),
      transports: json('transports').$type<string[]>().notNull(),
      createdAt: instant('created_at').notNull(),
      lastUsedAt: instant('last_used_at'),
    },
    (t) => [index('passkey_user').on(t.userId)],
  );

  /**
   * A user's tier and until when; no row: community. `beside_...` is a second plan that the user has as well: one that was given and one
   * that was bought do not undo each other, and the better one counts (plans.ts). `renews`: the end is where the next payment is due.
   */
  const plan = table(
    'plan',
    {
      userId: text('user_id')
        .primaryKey()
        .references(() => user.id, { onDelete: 'cascade' }),
      tier: text('tier').$type<TierName>().notNull(),
      state: text('state').$type<PlanState>().notNull().default('active'),
      until: instant('until'),
      renews: boolean('renews').notNull().default(false),
      source: text('source').$type<PlanSource>().notNull(),
      besideTier: text('beside_tier').$type<TierName>(),
      besideState: text('beside_state').$type<PlanState>(),
      besideUntil: instant('beside_until'),
      besideRenews: boolean('beside_renews'),
      besideSource: text('beside_source').$type<PlanSource>(),
      updatedAt: instant('updated_at').notNull(),
    },
    (t) => [
      index('plan_until').on(t.until, t.userId),
      index('plan_tier').on(t.tier, t.updatedAt, t.userId),
      index('plan_beside').on(t.besideTier, t.updatedAt, t.userId).where(sql`beside_tier is not null`),
      index('plan_lapsed').on(t.updatedAt, t.userId).where(sql`state = 'lapsed'`),
    ],
  );

  /** Who a user is to Stripe. `version` moves with each write of what was bought, so that an older look at Stripe undoes no newer one. */
  const billingCustomer = table('billing_customer', {
    userId: text('user_id')
      .primaryKey()
      .references(() => user.id, { onDelete: 'cascade' }),
    customerId: text('customer_id').notNull().unique(),
    version: integer('version').notNull().default(0),
    createdAt: instant('created_at').notNull(),
  });

  /** Stripe's events that were attended to, each once; kept for 90 days. */
  const billingEvent = table(
    'billing_event',
    {
      id: text('id').primaryKey(),
      type: text('type').notNull(),
      receivedAt: instant('received_at').notNull(),
    },
    (t) => [index('billing_event_received').on(t.receivedAt)],
  );

  /** Bearers that we issue for SDKs. `hash` is SHA-256 of the token, hex; the token itself is nowhere. */
  const gatewayToken = table(
    'gateway_token',
    {
      id: text('id').primaryKey(),
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      name: text('name').notNull(),
      prefix: text('prefix').notNull(),
      hash: text('hash').notNull().unique(),
      scopes: json('scopes').$type<TokenScope[]>().notNull(),
      expiresAt: instant('expires_at'),
      lastUsedAt: instant('last_used_at'),
      createdAt: instant('created_at').notNull(),
    },
    (t) => [index('gateway_token_user').on(t.userId)],
  );

  /**
   * Sealed secrets. `owner` is a user id or `platform`. `position` is the place that a key of a provider has for good: totals and budget belong
   * to it and go on when the key is replaced (0, until an operator allows more). `rank` orders them; lowest first.
   */
  const providerKey = table(
    'provider_key',
    {
      id: text('id').primaryKey(),
      owner: text('owner').notNull(),
      provider: text('provider').$type<ProviderId>().notNull(),
      position: integer('position').notNull().default(0),
      keyHint: text('key_hint').notNull(),
      encryptedBlob: bytes('encrypted_blob').notNull(),
      nonce: bytes('nonce').notNull(),
      masterKeyId: text('master_key_id').notNull(),
      version: integer('version').notNull().default(1),
      status: text('status').$type<StoredStatus>().notNull(),
      isActive: boolean('is_active').notNull().default(true),
      fallback: boolean('fallback').notNull().default(true),
      lastError: text('last_error'),
      /** When our own re-check or a trial is due; null: none is planned. */
      retryAt: instant('retry_at'),
      /** How many re-checks or trials in a row have changed nothing. */
      retries: integer('retries').notNull().default(0),
      lastTestedAt: instant('last_tested_at'),
      /** From then on its owner does not want it to be used; null: they have said nothing. */
      expiresAt: instant('expires_at'),
      /** What has been told of that: the days of the last reminder, or -1: that it has come (vault-expiry.ts); null: nothing yet. */
      expiryTold: integer('expiry_told'),
      createdAt: instant('created_at').notNull(),
      updatedAt: instant('updated_at').notNull(),
      name: text('name'),
      rank: integer('rank').notNull().default(0),
      /** The models that it is for; null: all. */
      models: json('models').$type<string[] | null>(),
    },
    (t) => [
      unique('provider_key_place').on(t.owner, t.provider, t.position),
      unique('provider_key_nonce').on(t.masterKeyId, t.nonce),
      index('provider_key_retry').on(t.retryAt),
      // Holds only the keys of which something is still to be told.
      index('provider_key_expires').on(t.expiresAt, t.id).where(sql`expires_at is not null and (expiry_told is null or expiry_told >= 0)`),
    ],
  );

  /**
   * Keys that were replaced, sealed as they were (same id, nonce and place, so that they open as before), until they are deleted: at most one
   * a place. Written by the vault (vault-retired.ts).
   */
  const retiredKey = table(
    'retired_key',
    {
      /** What it had as a provider key. */
      id: text('id').primaryKey(),
      owner: text('owner').notNull(),
      provider: text('provider').$type<ProviderId>().notNull(),
      position: integer('position').notNull(),
      keyHint: text('key_hint').notNull(),
      encryptedBlob: bytes('encrypted_blob').notNull(),
      nonce: bytes('nonce').notNull(),
      masterKeyId: text('master_key_id').notNull(),
      expiresAt: instant('expires_at'),
      retiredAt: instant('retired_at').notNull(),
      /** When it is deleted; until then it can be restored. */
      until: instant('until').notNull(),
    },
    (t) => [
      unique('retired_key_place').on(t.owner, t.provider, t.position),
      unique('retired_key_nonce').on(t.masterKeyId, t.nonce),
      index('retired_key_until').on(t.until),
    ],
  );

  /** One row a master key that ever sealed here: a canary that only this key opens, and how often it sealed. */
  const masterKey = table('master_key', {
    id: text('id').primaryKey(),
    canary: bytes('canary').notNull(),
    nonce: bytes('nonce').notNull(),
    seals: integer('seals').notNull().default(0),
    createdAt: instant('created_at').notNull(),
  });

  /**
   * One AI request. `id` is time-ordered (meter.ts), and the request id that people see is derived from it.
   * Counts and cost are NULL while unknown. `slot_at` is set on a platform attempt that holds a place in the limits.
   */
  const request = table(
    'request',
    {
      id: integer('id').primaryKey(),
      bootId: text('boot_id').notNull(),
      userId: text('user_id').notNull(),
      tier: text('tier').$type<TierName>().notNull(),
      tokenId: text('token_id'),
      keyId: text('key_id'),
      firstKeyId: text('first_key_id'),
      provider: text('provider').$type<ProviderId>().notNull(),
      route: text('route').notNull(),
      model: text('model'),
      source: text('source').$type<KeySource>().notNull(),
      fallbackReason: text('fallback_reason').$type<FallbackReason>(),
      streamed: boolean('streamed').notNull(),
      state: text('state').$type<RequestState>().notNull(),
      /** The HTTP status that the caller got. */
      status: integer('status'),
      errorCode: text('error_code'),
      estimated: boolean('estimated').notNull().default(false),
      inputTokens: integer('input_tokens'),
      cachedInputTokens: integer('cached_input_tokens'),
      cacheWriteTokens: integer('cache_write_tokens'),
      cacheWrite1hTokens: integer('cache_write_1h_tokens'),
      audioInputTokens: integer('audio_input_tokens'),
      outputTokens: integer('output_tokens'),
      reasoningTokens: integer('reasoning_tokens'),
      audioOutputTokens: integer('audio_output_tokens'),
      totalTokens: integer('total_tokens'),
      costNanoUsd: integer('cost_nano_usd'),
      slotAt: integer('slot_at'),
      startedAt: integer('started_at').notNull(),
      firstByteAt: integer('first_byte_at'),
      endedAt: integer('ended_at'),
    },
    (t) => [
      index('request_user').on(t.userId, t.id),
      // Holds only what is under way, so that a start finds it without scanning the table.
      index('request_open').on(t.bootId).where(sql`state = 'open'`),
      // Holds only what waits for a price, by model, so that a start finds the models whose prices have become known.
      index('request_unpriced')
        .on(t.provider, t.model, t.id)
        .where(sql`cost_nano_usd is null and total_tokens is not null and model is not null and state <> 'open'`),
    ],
  );

  const sums = () => ({
    requests: integer('requests').notNull().default(0),
    inputTokens: integer('input_tokens').notNull().default(0),
    cachedInputTokens: integer('cached_input_tokens').notNull().default(0),
    cacheWriteTokens: integer('cache_write_tokens').notNull().default(0),
    outputTokens: integer('output_tokens').notNull().default(0),
    reasoningTokens: integer('reasoning_tokens').notNull().default(0),
    totalTokens: integer('total_tokens').notNull().default(0),
    costNanoUsd: integer('cost_nano_usd').notNull().default(0),
    unpricedRequests: integer('unpriced_requests').notNull().default(0),
    unmeasuredRequests: integer('unmeasured_requests').notNull().default(0),
  });

  /** Sums of a user in 15-minute buckets (`bucket`: its start in ms); `''` stands for no model, no key. */
  const usageUser = table(
    'usage_user',
    {
      userId: text('user_id').notNull(),
      bucket: integer('bucket').notNull(),
      provider: text('provider').$type<ProviderId>().notNull(),
      model: text('model').notNull(),
      source: text('source').$type<KeySource>().notNull(),
      keyId: text('key_id').notNull(),
      ...sums(),
    },
    (t) => [primaryKey({ columns: [t.userId, t.bucket, t.provider, t.model, t.source, t.keyId] })],
  );

  /** Sums of everyone, for administrators. */
  const usageTotal = table(
    'usage_total',
    {
      bucket: integer('bucket').notNull(),
      provider: text('provider').$type<ProviderId>().notNull(),
      model: text('model').notNull(),
      source: text('source').$type<KeySource>().notNull(),
      tier: text('tier').$type<TierName>().notNull(),
      ...sums(),
    },
    (t) => [primaryKey({ columns: [t.bucket, t.provider, t.model, t.source, t.tier] })],
  );

  /** Sums of each user by UTC day (`day`: its start in ms), for administrators. */
  const usageUserDay = table(
    'usage_user_day',
    {
      day: integer('day').notNull(),
      userId: text('user_id').notNull(),
      source: text('source').$type<KeySource>().notNull(),
      ...sums(),
    },
    (t) => [primaryKey({ columns: [t.day, t.userId, t.source] })],
  );

  /**
   * A UTC day of `usage_total` that is over, as columns of numbers (meter-blocks.ts). Where it is not there, or not built, the rows are
   * read. `builder`: who is making it; a change of the rows deletes it, and then that one has worked in vain.
   */
  const usageDayBlock = table('usage_day_block', {
    day: integer('day').primaryKey(),
    builder: text('builder').notNull(),
    builtAt: integer('built_at'),
    /** Provider, model, source and tier, which the numbers name by their place. */
    kinds: json('kinds').$type<[string, string, string, string][]>().notNull(),
    /** For each row: quarter of an hour and kind; then its sums; and of each kind the sums of the whole day. */
    places: bytes('places').notNull(),
    sums: bytes('sums').notNull(),
    daySums: bytes('day_sums').notNull(),
  });

  /** The same of `usage_user_day`: who, by number, and what they are ranked by. */
  const usagePeopleBlock = table(
    'usage_people_block',
    {
      day: integer('day').notNull(),
      source: text('source').$type<KeySource>().notNull(),
      builder: text('builder').notNull(),
      builtAt: integer('built_at'),
      people: bytes('people').notNull(),
      requests: bytes('requests').notNull(),
      totalTokens: bytes('total_tokens').notNull(),
      costNanoUsd: bytes('cost_nano_usd').notNull(),
    },
    (t) => [primaryKey({ columns: [t.day, t.source] })],
  );

  /** The numbers of the blocks, without gaps from 1. */
  const usagePerson = table('usage_person', { number: integer('number').primaryKey(), userId: text('user_id').notNull().unique() });

  /** What a user's keys for a provider have done in all; goes on when a key is replaced. */
  const keyTotals = table(
    'key_totals',
    {
      owner: text('owner').notNull(),
      provider: text('provider').$type<ProviderId>().notNull(),
      position: integer('position').notNull().default(0),
      requests: integer('requests').notNull().default(0),
      totalTokens: integer('total_tokens').notNull().default(0),
      costNanoUsd: integer('cost_nano_usd').notNull().default(0),
      unpricedRequests: integer('unpriced_requests').notNull().default(0),
      lastUsedAt: integer('last_used_at'),
    },
    (t) => [primaryKey({ columns: [t.owner, t.provider, t.position] })],
  );

  /**
   * How often a key was opened for a request, by the hour (`hour`: its start in ms) and by the token that asked (`''`: none). Written with the
   * requests (meter-uses.ts); kept for 90 days.
   */
  const keyUse = table(
    'key_use',
    {
      userId: text('user_id').notNull(),
      provider: text('provider').$type<ProviderId>().notNull(),
      hour: integer('hour').notNull(),
      keyId: text('key_id').notNull(),
      tokenId: text('token_id').notNull(),
      uses: integer('uses').notNull(),
      lastAt: integer('last_at').notNull(),
    },
    (t) => [primaryKey({ columns: [t.userId, t.provider, t.hour, t.keyId, t.tokenId] }), index('key_use_hour').on(t.hour)],
  );

  /**
   * A month's budget of a key, by the key's place, so that it goes on when the key is replaced. `period` is the month (its start in UTC, ms) that
   * `spent` and `reserved` are about. `reserved` is the sum of `reservation` for it: what requests under way may cost at most. budgets.ts.
   */
  const budget = table(
    'budget',
    {
      owner: text('owner').notNull(),
      provider: text('provider').$type<ProviderId>().notNull(),
      position: integer('position').notNull(),
      limitNanoUsd: integer('limit_nano_usd').notNull(),
      /** false: its owner is told, and requests go on. */
      hard: boolean('hard').notNull(),
      /** At the end of a hard one the platform's key answers in its place. */
      thenPlatform: boolean('then_platform').notNull().default(false),
      period: integer('period').notNull(),
      spentNanoUsd: integer('spent_nano_usd').notNull().default(0),
      reservedNanoUsd: integer('reserved_nano_usd').notNull().default(0),
      updatedAt: instant('updated_at').notNull(),
    },
    (t) => [primaryKey({ columns: [t.owner, t.provider, t.position] })],
  );

  /** What one request under way may cost at most of a hard budget. Gone when the request's row is closed, or its process is dead. */
  const reservation = table(
    'reservation',
    {
      requestId: integer('request_id').primaryKey(),
      bootId: text('boot_id').notNull(),
      owner: text('owner').notNull(),
      provider: text('provider').$type<ProviderId>().notNull(),
      position: integer('position').notNull(),
      period: integer('period').notNull(),
      amountNanoUsd: integer('amount_nano_usd').notNull(),
    },
    (t) => [index('reservation_place').on(t.owner, t.provider, t.position)],
  );

  /** How many requests a UTC day somebody lets go to the platform's key in place of their own; no row: as many as their limits allow. fallback-cap.ts */
  const fallbackCap = table('fallback_cap', {
    userId: text('user_id')
      .primaryKey()
      .references(() => user.id, { onDelete: 'cascade' }),
    perDay: integer('per_day').notNull(),
    updatedAt: instant('updated_at').notNull(),
  });

  /** A running process. A start settles the open requests of boots that are dead, and of no others. */
  const boot = table('boot', {
    id: text('id').primaryKey(),
    /** 0 to 31, part of the request ids that this process gives. */
    slot: integer('slot').notNull().unique(),
    host: text('host').notNull(),
    pid: integer('pid').notNull(),
    /** Id of the master key that it seals with; '': its version did not say yet. */
    sealsWith: text('seals_with').notNull().default(''),
    startedAt: integer('started_at').notNull(),
    heartbeatAt: integer('heartbeat_at').notNull(),
  });

  /** What a user should know; `dedupe` keeps the same news from being told twice. */
  const notice = table(
    'notice',
    {
      id: text('id').primaryKey(),
      userId: text('user_id').notNull(),
      kind: text('kind').notNull(),
      dedupe: text('dedupe').notNull().unique(),
      data: json('data').$type<Record<string, string>>().notNull(),
      createdAt: instant('created_at').notNull(),
      readAt: instant('read_at'),
      /** Removed by its reader. The row stays for a while, so that the same news is not told again. */
      removedAt: instant('removed_at'),
      /** Since when an e-mail about it waits to be written or to be found unwanted; null: neither. */
      mailAt: instant('mail_at'),
    },
    (t) => [
      index('notice_user').on(t.userId, t.createdAt),
      index('notice_created').on(t.createdAt),
      index('notice_mail').on(t.mailAt).where(sql`mail_at is not null`),
    ],
  );

  /** Who wants which kind of notice where; no row: as it comes (contracts/notices.ts). */
  const noticePref = table(
    'notice_pref',
    {
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      kind: text('kind').notNull(),
      page: boolean('page').notNull(),
      email: boolean('email').notNull(),
      updatedAt: instant('updated_at').notNull(),
    },
    (t) => [primaryKey({ columns: [t.userId, t.kind] })],
  );

  /**
   * E-mails to be sent, and for some days which were. What they say is data and, where it opens something, sealed; both are gone as soon
   * as a row has come to its end, which `ended_at` and a `due_at` of null say.
   */
  const mailOutbox = table(
    'mail_outbox',
    {
      /** Also the message's own id, so that whoever gets it twice can tell. */
      id: text('id').primaryKey(),
      /** To whom: a user, at the address that they have when it is sent; null: to `address`. */
      userId: text('user_id').references(() => user.id, { onDelete: 'cascade' }),
      address: text('address'),
      kind: text('kind').notNull(),
      locale: text('locale'),
      data: json('data').$type<Record<string, string>>(),
      encryptedBlob: bytes('encrypted_blob'),
      nonce: bytes('nonce'),
      masterKeyId: text('master_key_id'),
      state: text('state').$type<MailState>().notNull(),
      attempts: integer('attempts').notNull().default(0),
      /** waiting: when it is tried · sending: by when whoever has it must be done · null: it has ended. */
      dueAt: instant('due_at'),
      /** Later it is of no use. */
      expiresAt: instant('expires_at').notNull(),
      createdAt: instant('created_at').notNull(),
      endedAt: instant('ended_at'),
      /** Why it could not be sent, as a word of a fixed list. */
      lastError: text('last_error'),
    },
    (t) => [
      index('mail_outbox_due').on(t.dueAt).where(sql`due_at is not null`),
      index('mail_outbox_user').on(t.userId, t.endedAt),
      index('mail_outbox_address').on(t.address, t.endedAt),
      index('mail_outbox_ended').on(t.endedAt),
    ],
  );

  /** Who did what to which secret; append-only, each row's hash covers the row before it. */
  const audit = table(
    'audit',
    {
      seq: integer('seq').primaryKey(),
      at: integer('at').notNull(),
      actor: text('actor').notNull(),
      /** Whose secret or account it is about. */
      subject: text('subject').notNull(),
      action: text('action').notNull(),
      detail: text('detail').notNull(),
      prevHash: text('prev_hash').notNull().unique(),
      hash: text('hash').notNull(),
    },
    (t) => [
      index('audit_subject').on(t.subject, t.seq),
      index('audit_actor').on(t.actor, t.seq),
      index('audit_action').on(t.action, t.seq),
    ],
  );

  /** What administrators tell everybody who is signed in: one row, however many read it. */
  const announcement = table(
    'announcement',
    {
      id: text('id').primaryKey(),
      kind: text('kind').$type<AnnouncementKind>().notNull(),
      english: text('english').notNull(),
      german: text('german'),
      link: text('link'),
      /** The first moment at which it is no longer shown; null: until it is withdrawn. */
      until: instant('until'),
      actor: text('actor').notNull(),
      createdAt: instant('created_at').notNull(),
      withdrawnAt: instant('withdrawn_at'),
    },
    (t) => [index('announcement_created').on(t.createdAt, t.id)],
  );

  /** Who has closed which. */
  const announcementClosed = table(
    'announcement_closed',
    {
      announcementId: text('announcement_id')
        .notNull()
        .references(() => announcement.id, { onDelete: 'cascade' }),
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      closedAt: instant('closed_at').notNull(),
    },
    (t) => [primaryKey({ columns: [t.announcementId, t.userId] }), index('announcement_closed_user').on(t.userId)],
  );

  /** What an administrator has made of an agent. `definition` null: as it was built, or gone. The versions before it are in agent_version. */
  const agent = table('agent', {
    slug: text('slug').primaryKey(),
    version: integer('version').notNull(),
    definition: json('definition').$type<AgentDefinition>(),
    updatedAt: instant('updated_at').notNull(),
  });

  const agentVersion = table(
    'agent_version',
    {
      slug: text('slug').notNull(),
      version: integer('version').notNull(),
      definition: json('definition').$type<AgentDefinition>(),
      actor: text('actor').notNull(),
      createdAt: instant('created_at').notNull(),
    },
    (t) => [primaryKey({ columns: [t.slug, t.version] })],
  );

  /** One data key each, sealed: `encrypted_blob`, `nonce`, `master_key_id`. Under it lie title and messages (conversations-sealing.ts). */
  const conversation = table(
    'conversation',
    {
      id: text('id').primaryKey(),
      userId: text('user_id')
        .notNull()
        .references(() => user.id, { onDelete: 'cascade' }),
      agent: text('agent').notNull(),
      encryptedBlob: bytes('encrypted_blob').notNull(),
      nonce: bytes('nonce').notNull(),
      masterKeyId: text('master_key_id').notNull(),
      title: bytes('title').notNull(),
      /** Which one it goes on with; the model only where it was chosen. */
      provider: text('provider').$type<ProviderId>(),
      model: text('model'),
      createdAt: instant('created_at').notNull(),
      updatedAt: instant('updated_at').notNull(),
    },
    (t) => [unique('conversation_nonce').on(t.masterKeyId, t.nonce), index('conversation_user').on(t.userId, t.updatedAt)],
  );

  /** `body` is sealed: what was said, the files with it, the sentence of an error. Counts and cost are NULL while unknown. */
  const message = table(
    'message',
    {
      id: text('id').primaryKey(),
      conversationId: text('conversation_id')
        .notNull()
        .references(() => conversation.id, { onDelete: 'cascade' }),
      position: integer('position').notNull(),
      role: text('role').$type<'user' | 'assistant'>().notNull(),
      agent: text('agent').notNull(),
      state: text('state').$type<MessageState>().notNull(),
      body: bytes('body').notNull(),
      /** The process that writes it, while it is open. */
      bootId: text('boot_id'),
      errorCode: text('error_code'),
      isCut: boolean('is_cut').notNull().default(false),
      provider: text('provider').$type<ProviderId>(),
      model: text('model'),
      keySource: text('key_source').$type<KeySource>(),
      fallbackReason: text('fallback_reason').$type<FallbackReason>(),
      inputTokens: integer('input_tokens'),
      outputTokens: integer('output_tokens'),
      costNanoUsd: integer('cost_nano_usd'),
      requestId: text('request_id'),
      handover: text('handover'),
      droppedTurns: integer('dropped_turns').notNull().default(0),
      createdAt: instant('created_at').notNull(),
    },
    (t) => [
      unique('message_place').on(t.conversationId, t.position),
      // Holds only what is being written, so that a start finds what a dead process left.
      index('message_open').on(t.bootId).where(sql`state = 'open'`),
    ],
  );

  /** Who keeps no conversations. */
  const keepsNothing = table('keeps_nothing', {
    userId: text('user_id')
      .primaryKey()
      .references(() => user.id, { onDelete: 'cascade' }),
    since: instant('since').notNull(),
  });

  const setting = table('setting', {
    key: text('key').primaryKey(),
    value: json('value').notNull(),
    updatedAt: instant('updated_at').notNull(),
  });

  /**
   * Prices that hold instead of the release's, pico-USD a token, from an instant on (`valid_from` in ms; 0: always). `admin`: set by hand for
   * one model, before those of a list, which came from a file (`import`) or PRICES_URL (`url`). `actor`: who wrote it.
   */
  const priceOverride = table(
    'price_override',
    {
      id: text('id').primaryKey(),
      provider: text('provider').$type<ProviderId>().notNull(),
      model: text('model').notNull(),
      source: text('source').$type<PriceOrigin>().notNull(),
      validFrom: integer('valid_from').notNull(),
      input: integer('input').notNull(),
      cachedInput: integer('cached_input').notNull(),
      cacheWrite: integer('cache_write').notNull(),
      cacheWrite1h: integer('cache_write_1h').notNull(),
      audioInput: integer('audio_input').notNull(),
      output: integer('output').notNull(),
      audioOutput: integer('audio_output').notNull(),
      tiers: json('tiers').$type<ModelPrice['tiers']>().notNull(),
      actor: text('actor').notNull(),
      createdAt: instant('created_at').notNull(),
    },
    (t) => [unique('price_override_place').on(t.provider, t.model, t.source, t.validFrom)],
  );

  /** One row. It moves with every change to keys, tokens, plans, users and prices, so that caches know when they are stale. */
  const generation = table('generation', { id: integer('id').primaryKey(), value: integer('value').notNull() });

  return {
    user,
    session,
    account,
    verification,
    jwks,
    signInPlace,
    accountLink,
    twoFactor,
    backupCode,
    passkey,
    plan,
    billingCustomer,
    billingEvent,
    gatewayToken,
    providerKey,
    retiredKey,
    masterKey,
    request,
    usageUser,
    usageTotal,
    usageUserDay,
    usageDayBlock,
    usagePeopleBlock,
    usagePerson,
    keyTotals,
    keyUse,
    budget,
    reservation,
    fallbackCap,
    boot,
    notice,
    noticePref,
    mailOutbox,
    audit,
    announcement,
    announcementClosed,
    agent,
    agentVersion,
    conversation,
    message,
    keepsNothing,
    setting,
    priceOverride,
    generation,
  };
}

export type Tables = ReturnType<typeof schema>;

/** Holds the secrets that users bring. A secret enters through `save` and leaves only inside the callback of `use`. */
import {
  AppError,
  type KeySwitches,
  KeyText,
  type KeyView,
  type NewKey,
  ProviderId,
  providerIds,
  type TypedKey,
  type Verdict,
} from '@synthstack/core';
import { atomically, bumpGeneration, type Db, must, type Statement } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import { Secret } from '@synthstack/core/secret';
import { and, eq } from 'drizzle-orm';
import type { AuditAction, AuditEntry } from './audit.ts';
import type { Budgets } from './budgets.ts';
import type { CheckKind, CheckLimits } from './check-limits.ts';
import type { NoticeEntry } from './notices.ts';
import type { Clock } from './ports/clock.ts';
import type { Fields } from './ports/log.ts';
import { misfit, providerOf } from './providers/catalog.ts';
import type { CheckResult, Outcome } from './providers/provider.ts';
import type { Sender } from './providers/send.ts';
import { createKeyExpiry, isExpired, newExpiry, reminderDue } from './vault-expiry.ts';
import { createMasterKeys } from './vault-master-keys.ts';
import { createPlatformKeys } from './vault-platform.ts';
import { createRechecks } from './vault-rechecks.ts';
import { createRetired, expiredMeanwhile, forgetAt, notRestored } from './vault-retired.ts';
import { createKeyRows, type StoredKey, type UsableKey } from './vault-rows.ts';
import { createSpots } from './vault-spots.ts';
import { createTraffic } from './vault-traffic.ts';
import { createKeyWrites, isConflict, untilUndisturbed } from './vault-writes.ts';

export type { EnvironmentKey, StoredKey, UsableKey } from './vault-rows.ts';

export interface VaultParts {
  db: Db;
  keyring: Keyring;
  sender: Pick<Sender, 'check'>;
  clock: Clock;
  limits: CheckLimits;
  audit(entry: AuditEntry): Statement;
  notice(entry: NoticeEntry): Statement;
  /** For the log of those who run the server. */
  warn?(fields: Fields, message: string): void;
  /** The operator's keys from the environment. */
  platformSecrets?: Partial<Record<ProviderId, Secret>>;
  /** How many keys of a provider somebody may have. */
  perProvider?: number;
  budgets?: Pick<Budgets, 'viewsOf' | 'forget'>;
  /** A statement that touches a row as long as that user is there. */
  present?(userId: string): Statement;
}

const noBudgets: NonNullable<VaultParts['budgets']> = { viewsOf: async () => () => null, forget: () => [] };

/** Who asks, and whose keys it is about. */
export interface KeyCaller {
  /** A user's id, or `platform` when an administrator looks after the platform's keys. */
  userId: string;
  /** The plan includes own keys; true for the platform. */
  byok: boolean;
  /** Whom the audit names and the limits count, where it is not the owner. */
  actor?: string;
}

export type Vault = ReturnType<typeof createVault>;

export function createVault({
  db,
  keyring,
  sender,
  clock,
  limits,
  audit,
  notice,
  warn = () => undefined,
  platformSecrets = {},
  perProvider = 1,
  budgets = noBudgets,
  present,
}: VaultParts) {
  const rows = createKeyRows({ db, keyring, clock, perProvider, budgetsOf: budgets.viewsOf });
  const masterKeys = createMasterKeys({ db, keyring, clock, notice });
  const writes = createKeyWrites({ db, rows, masterKeys, clock, audit, present });
  const spots = createSpots({ db, rows, clock, perProvider });
  const traffic = createTraffic({ db, clock, writes, notice, warn });
  const retired = createRetired({ db, clock, writes, audit });
  const expiry = createKeyExpiry({ db, clock, audit, notice });
  const platformKeys = createPlatformKeys({ db, rows, sender, limits, audit, secrets: platformSecrets });
  const rechecks = createRechecks({ db, keyring, clock, sender, rows, writes, audit, notice });

  /** Everything that must be right before the provider is asked. */
  function admit(caller: KeyCaller, input: TypedKey, kind: CheckKind): Secret {
    if (!caller.byok) throw planRequired();
    const secret = readKey(input);
    limits.take(actorOf(caller), kind);
    return secret;
  }

  async function viewOf(key: StoredKey): Promise<KeyView> {
    const [view] = await rows.views([key]);
    if (!view) throw new AppError('internal', 'A stored key has no view.');
    return view;
  }

  function entryFor(caller: KeyCaller, action: AuditAction, key: StoredKey, detail: Record<string, string> = {}): Statement {
    const about = { keyId: key.id, provider: key.provider, keyHint: key.keyHint, ...detail };
    return audit({ actor: actorOf(caller), subject: caller.userId, action, detail: about });
  }

  return {
    /**
     * Asks the provider, then stores the key, whatever the provider said: in the place of the caller's former one, or where several are allowed
     * of the one that is named, or last.
     * @throws AppError `plan_required`; `invalid_input` naming the field; `limit_reached`; `not_found`: no such key to replace; `conflict`: there
     *   are as many as may be; `storage_unavailable`: nothing was saved
     */
    async save(caller: KeyCaller, input: NewKey): Promise<KeyView> {
      const { expiresAt = null, provider, apiKey } = input;
      const expiry = newExpiry(expiresAt, clock.now());
      const find = () => spots.forNew(caller.userId, input);
      if (input.keyId !== undefined || perProvider > 1) await find();
      const secret = admit(caller, { provider, apiKey }, 'save');
      const result = await sender.check(providerOf(provider), secret);
      const whose = { owner: caller.userId, provider };
      return viewOf(await writes.put(whose, find, { secret, result, actor: actorOf(caller), expiry }));
    },

    /** Asks the provider and stores nothing. @throws AppError `plan_required`, `invalid_input`, `limit_reached` */
    async check(caller: KeyCaller, input: TypedKey): Promise<Verdict> {
      const secret = admit(caller, input, 'check');
      return verdictOf(await sender.check(providerOf(input.provider), secret));
    },

    /** Everything that people may see of an owner's keys. @param owner  a user's id, or `platform` */
    async list(owner: string): Promise<KeyView[]> {
      return rows.views(await rows.ofOwner(owner));
    },

    /**
     * Asks the provider whether a stored key works, and remembers what it says.
     * @throws AppError `not_found`; `limit_reached`; `conflict`: replaced or removed meanwhile
     */
    async test(caller: KeyCaller, id: string): Promise<Verdict> {
      const key = await rows.mine(caller.userId, id);
      if (key.status === 'unreadable') return unreadableVerdict(await viewOf(key));
      limits.take(actorOf(caller), 'test');
      const result = await sender.check(providerOf(key.provider), rows.open(key));
      await writes.learn(key, result, () => [entryFor(caller, 'key.tested', key, { status: result.status })]);
      return verdictOf(result);
    },

    /**
     * Switches a key on or off, or its fallback; says until when it is to be used; gives it a name, models, or another place in the order.
     * @throws AppError `not_found`, `invalid_input`
     */
    async set(caller: KeyCaller, { id, expiresAt, ...given }: KeySwitches): Promise<KeyView> {
      const until = expiresAt === undefined ? undefined : newExpiry(expiresAt, clock.now());
      await untilUndisturbed(async () => {
        const key = await rows.mine(caller.userId, id);
        const { isActive, fallback, name, models, position } = given;
        const detail = Object.entries(given).flatMap(([field, value]) => (value === undefined ? [] : [[field, said(value)]]));
        if (until) detail.push(['expiresAt', until.expiresAt?.toISOString() ?? 'never']);
        if (detail.length === 0) return;
        await atomically(db, (tx, t) => [
          must(
            tx
              .update(t.providerKey)
              .set({ isActive, fallback, name, models, ...until, updatedAt: new Date(clock.now()) })
              .where(and(eq(t.providerKey.id, id), eq(t.providerKey.owner, caller.userId))),
          ),
          entryFor(caller, 'key.switched', key, Object.fromEntries(detail)),
          bumpGeneration(tx, t),
        ]);
        if (position !== undefined) await spots.move(key, position);
      });
      return viewOf(await rows.mine(caller.userId, id));
    },

    /**
     * Puts the key back that the present one has replaced, once the provider has said that it still works; the present one can be restored
     * in its turn.
     * @param id  the old key's own
     * @throws AppError `plan_required`; `not_found`: its 24 hours are over; `limit_reached`; `key_unusable`, `provider_unreachable`: nothing was changed
     */
    async restore(caller: KeyCaller, id: string): Promise<KeyView> {
      if (!caller.byok) throw planRequired();
      const old = await retired.mine(caller.userId, id);
      if (isExpired(old, clock.now())) throw expiredMeanwhile();
      limits.take(actorOf(caller), 'save');
      const secret = rows.open(old);
      const provider = providerOf(old.provider);
      const result = await sender.check(provider, secret);
      if (result.status !== 'valid') throw notRestored(result.status, provider.name);
      const { expiresAt } = old;
      const expiryTold = expiresAt && reminderDue(expiresAt, clock.now());
      const given = { secret, result, actor: actorOf(caller), expiry: { expiresAt, expiryTold }, restores: old };
      try {
        return await viewOf(await writes.put(old, () => spots.ofFormer(old), given));
      } catch (error) {
        // Restored, replaced or removed while the provider was asked.
        if (isConflict(error)) await retired.mine(caller.userId, id);
        throw error;
      }
    },

    /** Deletes a replaced key before its 24 hours are over, and its ciphertext from the files. @throws AppError `not_found` */
    async forget(caller: KeyCaller, id: string): Promise<void> {
      await retired.forget(await retired.mine(caller.userId, id), actorOf(caller));
    },

    /** Deletes a key and the one before it, and their ciphertext from the files. Its totals stay. @throws AppError `not_found` */
    async remove(caller: KeyCaller, id: string): Promise<void> {
      await untilUndisturbed(async () => {
        const key = await rows.mine(caller.userId, id);
        await atomically(db, (tx, t) => [
          must(tx.delete(t.providerKey).where(and(eq(t.providerKey.id, id), eq(t.providerKey.owner, caller.userId)))),
          forgetAt(tx, t.retiredKey, key),
          ...budgets.forget(key),
          entryFor(caller, 'key.removed', key),
          bumpGeneration(tx, t),
        ]);
      });
      await writes.scrub.now();
    },

    /** An owner's keys, still sealed, for a cache that the generation drops. */
    sealedOf: (owner: string): Promise<StoredKey[]> => rows.ofOwner(owner),

    /** Those of them that are used: of each provider as many as this server allows. */
    async usedOf(owner: string): Promise<StoredKey[]> {
      const keys = await rows.ofOwner(owner);
      return keys.filter((key) => keys.filter(({ provider }) => provider === key.provider).indexOf(key) < perProvider);
    },

    /** @throws AppError `not_found` */
    viewOf: async (owner: string, id: string): Promise<KeyView> => viewOf(await rows.mine(owner, id)),
    mine: (owner: string, id: string): Promise<StoredKey> => rows.mine(owner, id),

    perProvider,

    /** The platform's key for a provider, as the next request uses it; null: there is none. */
    platformKey: platformKeys.usable,

    /** All of the platform's keys, for administrators. */
    platformKeys: platformKeys.views,
    testEnvironmentKey: platformKeys.testEnvironment,

    /** The providers for which the platform has a key. */
    async platformProviders(): Promise<ReadonlySet<ProviderId>> {
      const found = await Promise.all(providerIds.map(async (id) => ({ id, has: (await platformKeys.usable(id)) !== null })));
      return new Set(found.filter(({ has }) => has).map(({ id }) => id));
    },

    /**
     * Lends the plaintext for one upstream call; it takes microseconds, so it is opened for each.
     * @returns whatever `fn` returns; the plaintext is not kept
     * @throws AppError `key_unusable`: it cannot be opened
     */
    use<T>(key: UsableKey, fn: (secret: Secret) => T): T {
      return fn('environment' in key ? key.environment : rows.open(key));
    },

    /**
     * What came back on a key in traffic. A change names the row and the nonce that were used: a replaced key changes nothing. `ok` on a
     * key that is valid already costs nothing. The platform's keys keep their status; administrators are told.
     * @param outcome  `unreadable`: `use` could not open it
     * @throws AppError `storage_unavailable`
     */
    report: (key: UsableKey, outcome: Outcome | 'unreadable'): Promise<void> => traffic.report(key, outcome),

    /** False: reporting it would change nothing. */
    isNews: (key: UsableKey, outcome: Outcome | 'unreadable'): boolean => traffic.isNews(key, outcome),

    /** For a key without credit: whether this request may try it. Of any number that ask when it is due, one gets true. */
    takeTrial: (key: StoredKey): Promise<boolean> => traffic.takeTrial(key),

    /** The keys that wait for a check of ours, at most 200. */
    dueRechecks: (): Promise<StoredKey[]> => rechecks.due(),

    /** Checks all that is due; to be called every few seconds. @returns how many were checked */
    runRechecks: (): Promise<number> => rechecks.run(),

    /** Deletes replaced keys whose 24 hours are over; to be called every few seconds. @returns how many */
    forgetRetired: retired.run,

    /** Reminds people of the dates that they have set for their keys; to be called every hour. @returns how often something was told */
    remindOfExpiry: expiry.run,

    openCanaries: masterKeys.openCanaries,
    countSeal: masterKeys.countSeal,
    masterKeyStates: masterKeys.states,
  };
}

/** For the audit log. */
const said = (value: unknown): string => (Array.isArray(value) ? value.join(' ') : `${value}`).slice(0, 500);

const actorOf = ({ actor, userId }: KeyCaller): string => actor ?? userId;

/** @throws AppError `invalid_input` naming the field; never with the text that was given */
function readKey({ provider, apiKey }: TypedKey): Secret {
  const known = ProviderId.safeParse(provider);
  if (!known.success) throw invalidInput('provider', known.error.issues[0]?.message);
  const text = KeyText.safeParse(apiKey);
  if (!text.success) throw invalidInput('apiKey', text.error.issues[0]?.message);
  const wrong = misfit(known.data, text.data);
  if (wrong !== null) throw invalidInput('apiKey', wrong);
  return new Secret(text.data);
}

function invalidInput(field: keyof TypedKey, sentence = 'This cannot be used.'): AppError {
  return new AppError('invalid_input', sentence, { errors: { [field]: [sentence] } });
}

function planRequired(): AppError {
  return new AppError('plan_required', 'Your plan does not include own keys. Nothing was saved or checked.');
}

function verdictOf({ status, message, latencyMs }: CheckResult & { latencyMs: number }): Verdict {
  return { valid: status === 'valid', status, message, latencyMs };
}

/** What cannot be opened cannot be asked about either. */
function unreadableVerdict({ lastError }: KeyView): Verdict {
  return { valid: false, status: 'unreadable', message: lastError ?? 'This key cannot be opened. Enter it again.', latencyMs: 0 };
}

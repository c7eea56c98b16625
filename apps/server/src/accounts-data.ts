/**
 * What each table knows of a person: what they are handed when they ask for all of it, and what becomes of it when they go. A table without
 * a line here does not compile, so that none is forgotten.
 */
import type { Tables } from '@synthstack/core/db';
import type { Column, Table } from 'drizzle-orm';

/**
 * account: the row itself · with: goes with it, by its foreign key · now: is deleted in the same write · later: after it, in small writes,
 * since there may be millions · stays: under an id that is nobody's any more
 */
export type Leaves = 'account' | 'with' | 'now' | 'later' | 'stays';

export interface PersonTable {
  table: Table;
  /** Names the person, by their id. */
  of: Column;
  leaves: Leaves;
  /** What they are handed: under which name, which columns, in which order. null: nothing, or by a way of its own (account-export.ts). */
  told: { as: string; columns: Record<string, Column>; by: readonly Column[] } | null;
}

/** It knows of nobody, or no more than who set it. */
const ofNobody = null;

/** Line by line: every table there is. */
export function personTables(t: Tables) {
  return {
    user: {
      ...{ table: t.user, of: t.user.id, leaves: 'account' },
      told: told('account', t.user, [t.user.id], 'id name email emailVerified role disabledAt timezone locale createdAt updatedAt'),
    },
    session: {
      ...{ table: t.session, of: t.session.userId, leaves: 'with' },
      told: told('sessions', t.session, [t.session.id], 'ipAddress userAgent createdAt updatedAt expiresAt'),
    },
    account: {
      ...{ table: t.account, of: t.account.userId, leaves: 'with' },
      told: told('waysToSignIn', t.account, [t.account.id], 'providerId accountId createdAt updatedAt'),
    },
    verification: ofNobody,
    jwks: ofNobody,
    signInPlace: {
      ...{ table: t.signInPlace, of: t.signInPlace.userId, leaves: 'with' },
      told: told('signInPlaces', t.signInPlace, [t.signInPlace.device, t.signInPlace.network], 'device network firstAt lastAt'),
    },
    accountLink: {
      ...{ table: t.accountLink, of: t.accountLink.userId, leaves: 'with' },
      told: told('links', t.accountLink, [t.accountLink.tokenHash], 'kind createdAt expiresAt'),
    },
    twoFactor: {
      ...{ table: t.twoFactor, of: t.twoFactor.userId, leaves: 'with' },
      told: told('secondFactor', t.twoFactor, [t.twoFactor.userId], 'confirmedAt createdAt'),
    },
    backupCode: { table: t.backupCode, of: t.backupCode.userId, leaves: 'with', told: null },
    passkey: {
      ...{ table: t.passkey, of: t.passkey.userId, leaves: 'with' },
      told: told('passkeys', t.passkey, [t.passkey.id], 'id name transports createdAt lastUsedAt'),
    },
    plan: {
      ...{ table: t.plan, of: t.plan.userId, leaves: 'with' },
      told: told(
        'plan',
        t.plan,
        [t.plan.userId],
        'tier state until renews source besideTier besideState besideUntil besideRenews besideSource updatedAt',
      ),
    },
    billingCustomer: {
      ...{ table: t.billingCustomer, of: t.billingCustomer.userId, leaves: 'with' },
      told: told('billing', t.billingCustomer, [t.billingCustomer.userId], 'customerId createdAt'),
    },
    billingEvent: ofNobody,
    gatewayToken: {
      ...{ table: t.gatewayToken, of: t.gatewayToken.userId, leaves: 'with' },
      told: told('tokens', t.gatewayToken, [t.gatewayToken.id], 'id name prefix scopes expiresAt lastUsedAt createdAt'),
    },
    providerKey: {
      ...{ table: t.providerKey, of: t.providerKey.owner, leaves: 'now' },
      told: told(
        'keys',
        t.providerKey,
        [t.providerKey.id],
        'id provider position rank name models keyHint status isActive fallback lastError lastTestedAt expiresAt createdAt updatedAt',
      ),
    },
    retiredKey: {
      ...{ table: t.retiredKey, of: t.retiredKey.owner, leaves: 'now' },
      told: told('keysBefore', t.retiredKey, [t.retiredKey.id], 'provider position keyHint expiresAt retiredAt until'),
    },
    budget: {
      ...{ table: t.budget, of: t.budget.owner, leaves: 'now' },
      told: told(
        'budgets',
        t.budget,
        [t.budget.provider, t.budget.position],
        'provider position limitNanoUsd hard thenPlatform period spentNanoUsd updatedAt',
      ),
    },
    // Of requests under way.
    reservation: { table: t.reservation, of: t.reservation.owner, leaves: 'now', told: null },
    fallbackCap: {
      ...{ table: t.fallbackCap, of: t.fallbackCap.userId, leaves: 'with' },
      told: told('fallbackCap', t.fallbackCap, [t.fallbackCap.userId], 'perDay updatedAt'),
    },
    masterKey: ofNobody,
    request: {
      ...{ table: t.request, of: t.request.userId, leaves: 'later' },
      told: told(
        'requests',
        t.request,
        [t.request.id],
        'id tier tokenId keyId firstKeyId provider route model source fallbackReason streamed state status errorCode estimated ' +
          'inputTokens cachedInputTokens cacheWriteTokens cacheWrite1hTokens audioInputTokens outputTokens reasoningTokens audioOutputTokens ' +
          'totalTokens costNanoUsd startedAt firstByteAt endedAt',
      ),
    },
    usageUser: {
      ...{ table: t.usageUser, of: t.usageUser.userId, leaves: 'later' },
      told: told(
        'usage',
        t.usageUser,
        [t.usageUser.bucket, t.usageUser.provider, t.usageUser.model, t.usageUser.source, t.usageUser.keyId],
        `bucket provider model source keyId ${sums}`,
      ),
    },
    // For the operator's books: sums without words. What they add up from is in `usageUser`.
    usageTotal: ofNobody,
    usageDayBlock: ofNobody,
    usagePeopleBlock: ofNobody,
    usagePerson: { table: t.usagePerson, of: t.usagePerson.userId, leaves: 'stays', told: null },
    usageUserDay: { table: t.usageUserDay, of: t.usageUserDay.userId, leaves: 'stays', told: null },
    keyTotals: {
      ...{ table: t.keyTotals, of: t.keyTotals.owner, leaves: 'now' },
      told: told(
        'keyTotals',
        t.keyTotals,
        [t.keyTotals.provider, t.keyTotals.position],
        'provider position requests totalTokens costNanoUsd unpricedRequests lastUsedAt',
      ),
    },
    keyUse: {
      ...{ table: t.keyUse, of: t.keyUse.userId, leaves: 'now' },
      told: told(
        'keyUse',
        t.keyUse,
        [t.keyUse.provider, t.keyUse.hour, t.keyUse.keyId, t.keyUse.tokenId],
        'provider hour keyId tokenId uses lastAt',
      ),
    },
    boot: ofNobody,
    notice: {
      ...{ table: t.notice, of: t.notice.userId, leaves: 'now' },
      told: told('notices', t.notice, [t.notice.id], 'kind data createdAt readAt removedAt'),
    },
    noticePref: {
      ...{ table: t.noticePref, of: t.noticePref.userId, leaves: 'with' },
      told: told('noticeWishes', t.noticePref, [t.noticePref.kind], 'kind page email updatedAt'),
    },
    mailOutbox: {
      ...{ table: t.mailOutbox, of: t.mailOutbox.userId, leaves: 'with' },
      told: told('mail', t.mailOutbox, [t.mailOutbox.id], 'kind data state createdAt endedAt'),
    },
    // Of everybody.
    announcement: ofNobody,
    announcementClosed: { table: t.announcementClosed, of: t.announcementClosed.userId, leaves: 'with', told: null },
    // Its hashes hold on to each other: it stays, and names nobody but by id.
    audit: {
      ...{ table: t.audit, of: t.audit.subject, leaves: 'stays' },
      told: told('audit', t.audit, [t.audit.seq], 'at actor action detail'),
    },
    agent: ofNobody,
    agentVersion: ofNobody,
    conversation: { table: t.conversation, of: t.conversation.userId, leaves: 'with', told: null },
    // Of their conversation.
    message: ofNobody,
    keepsNothing: {
      ...{ table: t.keepsNothing, of: t.keepsNothing.userId, leaves: 'with' },
      told: told('keepsNoConversations', t.keepsNothing, [t.keepsNothing.userId], 'since'),
    },
    setting: ofNobody,
    priceOverride: ofNobody,
    generation: ofNobody,
  } satisfies Record<keyof Tables, PersonTable | null>;
}

/** All that is of somebody, in the order above. */
export const ofSomebody = (tables: Tables): PersonTable[] =>
  Object.values(personTables(tables) satisfies Record<string, PersonTable | null> as Record<string, PersonTable | null>).filter(
    (one) => one !== null,
  );

const sums =
  'requests inputTokens cachedInputTokens cacheWriteTokens outputTokens reasoningTokens totalTokens costNanoUsd unpricedRequests unmeasuredRequests';

/** @param names  of its columns, with spaces between them */
function told(as: string, table: Table, by: readonly Column[], names: string): NonNullable<PersonTable['told']> {
  const all = table as unknown as Record<string, Column>;
  const columns = names.split(' ').map((name): [string, Column] => {
    const column = all[name];
    if (!column) throw new Error(`There is no column ${name}.`);
    return [name, column];
  });
  return { as, columns: Object.fromEntries(columns), by };
}

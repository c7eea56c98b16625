/**
 * Every sealed thing in the database, a line each: where it lies, and for what and which place it was sealed. A rotation of the master key
 * walks this list, and so does the start, which looks whether the master keys that are needed are here. The canaries of `master_key` are
 * not in it: each belongs to one key and goes with it.
 */
import type { Tables } from '@synthstack/core/db';
import type { Purpose } from '@synthstack/core/keyring';
import { getTableName, isNotNull, type SQL } from 'drizzle-orm';
import type { SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core';

type Columns = Readonly<Record<string, SQLiteColumn>>;

/** What the columns of `SealedTable` have in common. */
type SealedTable = SQLiteTable & Record<'encryptedBlob' | 'nonce' | 'masterKeyId', SQLiteColumn>;

export interface SealedThing {
  /** As the database calls the table. */
  name: string;
  table: SealedTable;
  /** Names one row. */
  key: SQLiteColumn;
  /** The columns, all of them texts, that purpose and context are made of. */
  of: Columns;
  purpose(row: Readonly<Record<string, string>>): Purpose;
  context(row: Readonly<Record<string, string>>): readonly string[];
  /** Which rows may hold something sealed, where most of the table does not and an index finds them. */
  only: SQL | undefined;
  /** Is gone by itself within a day: a start does without the master key that it needs. */
  isPassing: boolean;
}

interface Sealing<C extends Columns> {
  key: SQLiteColumn;
  of: C;
  purpose(row: Record<keyof C, string>): Purpose;
  context(row: Record<keyof C, string>): readonly string[];
  only?: SQL;
  isPassing?: boolean;
}

function sealed<C extends Columns>(table: SealedTable, { only, isPassing = false, ...rest }: Sealing<C>): SealedThing {
  return { name: getTableName(table), table, only, isPassing, ...(rest as Sealing<Columns>) };
}

export function sealedThings(t: Tables): readonly SealedThing[] {
  const { conversation, twoFactor, mailOutbox: mail } = t;
  return [
    sealedKey(t.providerKey),
    sealedKey(t.retiredKey),
    // Title and messages lie under the data key that is sealed here.
    sealed(conversation, {
      key: conversation.id,
      of: { id: conversation.id, userId: conversation.userId },
      purpose: () => 'conversation',
      context: ({ userId, id }) => [userId, id],
    }),
    sealed(twoFactor, {
      key: twoFactor.userId,
      of: { userId: twoFactor.userId },
      purpose: () => 'totp',
      context: ({ userId }) => [userId],
    }),
    sealed(mail, {
      key: mail.id,
      of: { id: mail.id, kind: mail.kind },
      purpose: () => 'mail',
      context: ({ id, kind }) => [id, kind],
      only: isNotNull(mail.dueAt),
      isPassing: true,
    }),
  ];
}

/** A replaced key stays sealed as it was. */
function sealedKey(table: Tables['providerKey'] | Tables['retiredKey']): SealedThing {
  const { id, owner, provider } = table;
  return sealed(table, {
    key: id,
    of: { id, owner, provider },
    purpose: (row) => (row.owner === 'platform' ? 'platform-key' : 'provider-key'),
    context: (row) => [row.owner, row.provider, row.id],
  });
}

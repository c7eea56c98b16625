/**
 * Who did what to which secret or account: rows that are only ever added, each with a hash over itself and the row before it.
 * Other modules put `entry` into the list of their own write, so nothing happens without its row, and no row without what it tells.
 */
import { hash } from 'node:crypto';
import { AppError } from '@synthstack/core';
import { type Db, type Statement, statement, type Tables } from '@synthstack/core/db';
import { and, asc, desc, eq, gt, lt, sql } from 'drizzle-orm';
import { createOwnHistory } from './audit-own.ts';
import type { Clock } from './ports/clock.ts';

export const auditActions = [
  ...(['key.saved', 'key.replaced', 'key.tested', 'key.switched', 'key.removed', 'budget.changed', 'fallback_cap.changed'] as const),
  ...(['key.restored', 'key.forgotten', 'key.expired'] as const),
  ...(['token.created', 'token.revoked'] as const),
  ...(['account.created', 'account.changed', 'account.disabled', 'account.enabled', 'account.removed', 'account.role_changed'] as const),
  ...(['account.exported', 'account.signed_out', 'announcement.made', 'announcement.withdrawn'] as const),
  ...(['account.password_changed', 'account.password_reset', 'account.reset_link_made', 'account.email_confirmed'] as const),
  ...(['factor.enabled', 'factor.disabled', 'factor.codes_renewed', 'factor.code_used', 'factor.reset'] as const),
  ...(['passkey.added', 'passkey.removed'] as const),
  ...(['plan.changed', 'setting.changed', 'master_key.rotation_started', 'master_key.rotated'] as const),
  ...(['agent.added', 'agent.changed', 'agent.reset'] as const),
  'price.changed',
] as const;
export type AuditAction = (typeof auditActions)[number];

export interface AuditEntry {
  /** Id of the user who acts; `system` for what the server does by itself, `cli` for the command line. */
  actor: string;
  /** Id of the user whose secret or account it is about, or `platform`. */
  subject: string;
  action: AuditAction;
  /** What else belongs to it, without any secret. */
  detail?: Record<string, string>;
}

export interface AuditRow extends Required<AuditEntry> {
  /** 1, 2, 3 ... without a gap. */
  seq: number;
  at: Date;
}

interface AuditWanted {
  subject?: string;
  action?: AuditAction;
  before?: number;
  limit: number;
}

export interface AuditHead {
  seq: number;
  hash: string;
}

export interface AuditReport {
  rows: number;
  /** The place at which the chain does not go on as it must; null: it is whole. */
  brokenAt: number | null;
  /** The last row. Noted elsewhere and given to the next `verify`, it shows whether the end of the chain was cut off; null: no rows. */
  head: AuditHead | null;
}

/** A page of the chain that was looked at. */
export interface AuditStep {
  /** The last row that was whole. */
  head: AuditHead | null;
  brokenAt: number | null;
  done: boolean;
}

export type Audit = ReturnType<typeof createAudit>;

const beginning = '0'.repeat(64);
const pageSize = 1_000;

export function createAudit({ db, clock }: { db: Db; clock: Clock }) {
  const { audit } = db.tables;

  return {
    ...createOwnHistory({ db }),

    /**
     * The statement that adds one row. Number and hashes are computed inside it, where no other writer can come between;
     * on PostgreSQL two nodes may still meet at the same place: then one of the lists fails with `conflict`, and is tried again.
     */
    entry({ actor, subject, action, detail = {} }: AuditEntry): Statement {
      const at = clock.now();
      const text = JSON.stringify(detail);
      const seq = sql<number>`(select coalesce(max(${audit.seq}), 0) + 1 from ${audit})`;
      const last = sql`(select ${audit.hash} from ${audit} order by ${audit.seq} desc limit 1)`;
      const prevHash = sql<string>`coalesce(${last}, ${sql.raw(`'${beginning}'`)})`;
      const fields = sql`cast(${fieldsOf({ at, actor, subject, action, detail: text })} as text)`;
      const chained = db.sha256(sql`${prevHash} || ' ' || cast(${seq} as text) || ' ' || ${fields}`);
      return statement(db.orm.insert(audit).values({ seq, at, actor, subject, action, detail: text, prevHash, hash: chained }));
    },

    /** Newest first. @param wanted.subject  none: everyone's. `action` none: all. `before`: a `seq`, exclusive, for the next page */
    async list({ subject, action, before, limit }: AuditWanted): Promise<AuditRow[]> {
      const rows = await db.orm
        .select()
        .from(audit)
        .where(
          and(
            subject === undefined ? undefined : eq(audit.subject, subject),
            action === undefined ? undefined : eq(audit.action, action),
            before === undefined ? undefined : lt(audit.seq, before),
          ),
        )
        .orderBy(desc(audit.seq))
        .limit(limit);
      return rows.map(({ seq, at, actor, subject: about, action: done, detail }) => {
        return { seq, at: new Date(at), actor, subject: about, action: done as AuditAction, detail: detailOf(detail) };
      });
    },

    /**
     * Recomputes the whole chain, a page of rows at a time.
     * @param known  the `head` of an earlier report: the chain must still lead through it
     */
    async verify(known: AuditHead | null = null): Promise<AuditReport> {
      let head: AuditHead | null = null;
      for (;;) {
        const step: AuditStep = await follow(head, known);
        head = step.head;
        if (step.brokenAt !== null) return { rows: await count(), brokenAt: step.brokenAt, head };
        if (step.done) break;
      }
      const rows = head?.seq ?? 0;
      return { rows, brokenAt: known && known.seq > rows ? rows + 1 : null, head };
    },

    follow,
  };

  /** The next page of the chain behind a row that was found whole; null: its beginning. */
  async function follow(from: AuditHead | null, known: AuditHead | null = null): Promise<AuditStep> {
    // At the beginning, rows of wrong numbers are looked for as well.
    const after = from?.seq ?? Number.MIN_SAFE_INTEGER;
    const page = await db.orm.select().from(audit).where(gt(audit.seq, after)).orderBy(asc(audit.seq)).limit(pageSize);
    let head = from;
    for (const row of page) {
      const place: number = (head?.seq ?? 0) + 1;
      const fits = row.seq === place && row.prevHash === (head?.hash ?? beginning) && row.hash === hashOf(row);
      if (!fits || (row.seq === known?.seq && row.hash !== known.hash)) return { head, brokenAt: place, done: true };
      head = { seq: row.seq, hash: row.hash };
    }
    return { head, brokenAt: null, done: page.length < pageSize };
  }

  async function count(): Promise<number> {
    const [row] = await db.orm.select({ rows: sql<number>`count(*)` }).from(audit);
    if (!row) throw new AppError('internal', 'The database did not count its rows.');
    return Number(row.rows);
  }
}

type Row = Tables['audit']['$inferSelect'];

/** JSON, so that no two rows give the same text; the hash before it and the number have no spaces in them. */
function fieldsOf({ at, actor, subject, action, detail }: Pick<Row, 'at' | 'actor' | 'subject' | 'action' | 'detail'>): string {
  return JSON.stringify([at, actor, subject, action, detail]);
}

function hashOf(row: Row): string {
  return hash('sha256', `${row.prevHash} ${row.seq} ${fieldsOf(row)}`);
}

/** Someone may have changed the row by hand: `verify` says so, and the list can still be read. */
export function detailOf(text: string): Record<string, string> {
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    return { text };
  }
}

import { AppError, AuditCheck, type AuditEntryView, type AuditFilters, AuditPage, AuditQuery, AuditVerdict } from '@synthstack/core';
import type { Modules } from '../app.ts';
import { type AuditHead, auditActions, detailOf } from '../audit.ts';
import type { AuditFilter } from '../audit-log.ts';
import { adminProcedure, router } from './trpc.ts';

/** Pages of the chain that one step looks at: some 10,000 rows. */
const pagesAStep = 10;

export const adminAudit = router({
  list: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/audit', summary: 'Who did what to which secret or account, newest first' })
    .input(AuditQuery)
    .output(AuditPage)
    .query(async ({ ctx: { app }, input }) => {
      const filter = await filterOf(app, input);
      const actions = [...auditActions].sort();
      if (!filter) return { entries: [], nextCursor: null, actions };
      const { rows, next } = await app.auditLog.page(filter, input.limit, input.cursor === undefined ? undefined : Number(input.cursor));
      const parties = await app.accounts.partiesOf([...new Set(rows.flatMap(({ actor, subject }) => [actor, subject]))]);
      const partyOf = (id: string) => ({ id, email: parties.get(id)?.email ?? null, name: parties.get(id)?.name ?? null });
      const entries = rows.map(({ seq, at, actor, subject, action, detail }): AuditEntryView => {
        return {
          seq,
          at: new Date(at).toISOString(),
          actor: partyOf(actor),
          subject: partyOf(subject),
          action,
          detail: withoutHint(detailOf(detail)),
        };
      });
      return { entries, nextCursor: next === null ? null : String(next), actions };
    }),

  verify: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/audit/verify', summary: 'Recompute the chain from its beginning or from where the last step ended' })
    .input(AuditCheck)
    .output(AuditVerdict)
    .query(async ({ ctx, input: { seq, hash } }) => {
      let head: AuditHead | null = seq === undefined || hash === undefined || seq === 0 ? null : { seq, hash };
      for (let page = 0; page < pagesAStep; page += 1) {
        const step = await ctx.app.audit.follow(head);
        head = step.head;
        if (step.brokenAt !== null || step.done) return { checked: head?.seq ?? 0, ...step };
      }
      return { checked: head?.seq ?? 0, brokenAt: null, head, done: false };
    }),
});

/**
 * Whom a filter means: people are named by e-mail address or id.
 * @returns null: nobody has that address, so there is nothing about them
 */
export async function filterOf(app: Pick<Modules, 'accounts'>, filters: AuditFilters): Promise<AuditFilter | null> {
  const { actor, subject, action, from, to } = filters;
  const [by, about] = [await partyId(app, actor), await partyId(app, subject)];
  if (by === null || about === null) return null;
  return {
    ...{ actor: by, subject: about, action },
    ...{ fromMs: from === undefined ? undefined : Date.parse(from), toMs: to === undefined ? undefined : Date.parse(to) },
  };
}

async function partyId({ accounts }: Pick<Modules, 'accounts'>, named: string | undefined): Promise<string | null | undefined> {
  if (!named) return undefined;
  if (!named.includes('@')) return named;
  try {
    return (await accounts.byEmail(named)).id;
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return null;
    throw error;
  }
}

/** Of others' keys the pages of Administration show provider and status alone. The file has each row as it was hashed. */
function withoutHint({ keyHint: _hint, ...detail }: Record<string, string>): Record<string, string> {
  return detail;
}

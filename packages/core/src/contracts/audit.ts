/** Who did what to which secret or account, as administrators read it. */
import { z } from 'zod';

const Instant = z.iso.datetime({ offset: true, error: 'Name an instant such as 2026-11-23T12:00:00Z.' });

const filters = {
  actor: z
    .string()
    .trim()
    .max(254, 'Use at most 254 characters.')
    .optional()
    .describe('Who did it: an id, an e-mail address, cli or system.'),
  subject: z
    .string()
    .trim()
    .max(254, 'Use at most 254 characters.')
    .optional()
    .describe('Whose it is: an id, an e-mail address, or platform.'),
  action: z
    .string()
    .regex(/^[a-z_]{1,40}\.[a-z_]{1,40}$/, 'An action is a word such as key.saved.')
    .optional(),
  from: Instant.optional(),
  to: Instant.optional().describe('Exclusive.'),
};
const inOrder = ({ from, to }: { from?: string | undefined; to?: string | undefined }) =>
  from === undefined || to === undefined || Date.parse(from) < Date.parse(to);
const outOfOrder = { error: 'The end must come after the beginning.', path: ['to'] };

export const AuditQuery = z
  .strictObject({
    ...filters,
    cursor: z
      .string()
      .regex(/^\d{1,15}$/, "cursor: the last answer's nextCursor, as it was.")
      .optional(),
    limit: z.int().min(1).max(200).default(50),
  })
  .refine(inOrder, outOfOrder);
export type AuditQuery = z.output<typeof AuditQuery>;

export const auditFormats = ['csv', 'jsonl'] as const;
export const AuditExport = z
  .strictObject({ ...filters, format: z.enum(auditFormats, { error: 'A format is csv or jsonl.' }).default('csv') })
  .refine(inOrder, outOfOrder);
export type AuditExport = z.output<typeof AuditExport>;
export type AuditFilters = Omit<AuditExport, 'format'>;

/** Somebody by id; `email` and `name` null: no account (any more), or none of a person. */
const Party = z.object({ id: z.string(), email: z.string().nullable(), name: z.string().nullable() });

export const AuditEntryView = z.object({
  seq: z.int().describe('1, 2, 3 ... without a gap.'),
  at: z.iso.datetime(),
  actor: Party,
  subject: Party,
  action: z.string(),
  detail: z.record(z.string(), z.string()),
});
export type AuditEntryView = z.infer<typeof AuditEntryView>;

/** The newest first. `nextCursor` may be there although fewer than asked for were found: the rest is still to be looked at. */
export const AuditPage = z.object({
  entries: z.array(AuditEntryView),
  nextCursor: z.string().nullable(),
  actions: z.array(z.string()).describe('All there are.'),
});
export type AuditPage = z.infer<typeof AuditPage>;

/** Where to go on: the row up to which the chain was found whole. None: at its beginning. */
export const AuditCheck = z
  .strictObject({
    seq: z.int().min(0).optional(),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'A hash is 64 hexadecimal digits.')
      .optional(),
  })
  .refine(({ seq, hash }) => (seq === undefined) === (hash === undefined), 'seq and hash go together.');
export type AuditCheck = z.infer<typeof AuditCheck>;

/** Of one step: some ten thousand rows. */
export const AuditVerdict = z.object({
  checked: z.int().describe('Rows found whole until now, from the beginning.'),
  brokenAt: z.int().nullable().describe('The place at which the chain does not go on as it must; null: it is whole so far.'),
  head: z
    .object({ seq: z.int(), hash: z.string() })
    .nullable()
    .describe('The last row that was looked at. Note it down: a chain whose end was cut off no longer has it.'),
  done: z.boolean().describe('There are no more rows.'),
});
export type AuditVerdict = z.infer<typeof AuditVerdict>;

import { z } from 'zod';
import { KeySource, ProviderId } from './keys.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const count = z.int();

export const Timezone = z.string().max(64).refine(isTimezone, 'Name an IANA time zone, such as Europe/Berlin.');

/** Either `from` and `to` (ISO instants, `to` exclusive) or `days`; nothing at all means the last 30 days. */
export const UsageQuery = z
  .strictObject({
    from: z.iso.datetime({ offset: true, error: 'Give an ISO 8601 instant such as 2026-11-01T00:00:00Z.' }).optional(),
    to: z.iso.datetime({ offset: true, error: 'Give an ISO 8601 instant such as 2026-12-01T00:00:00Z.' }).optional(),
    days: z.int('days: a whole number from 1 to 366.').min(1, 'days: at least 1.').max(366, 'days: at most 366.').optional(),
    timezone: Timezone.default('UTC'),
    groupBy: z.enum(['hour', 'day'], { error: 'groupBy: hour or day.' }).default('day'),
  })
  .superRefine((query, ctx) => {
    const wrong = (path: string, message: string) => ctx.addIssue({ code: 'custom', path: [path], message });
    const tooLongByHour = () => wrong('groupBy', 'By hour, the range is at most 31 days.');
    if (query.days !== undefined && (query.from || query.to)) return wrong('days', 'Give either days, or from and to.');
    if (query.groupBy === 'hour' && (query.days ?? 0) > 31) return tooLongByHour();
    if (Boolean(query.from) !== Boolean(query.to)) return wrong(query.from ? 'to' : 'from', 'from and to go together.');
    if (!query.from || !query.to) return;
    const lengthMs = Date.parse(query.to) - Date.parse(query.from);
    if (!(lengthMs > 0)) return wrong('to', 'It must be after from.');
    if (lengthMs > 366 * dayMs) return wrong('to', 'The range is at most 366 days.');
    // An October of 31 days is an hour longer where the clocks go back in it.
    if (query.groupBy === 'hour' && lengthMs > 31 * dayMs + hourMs) tooLongByHour();
  });
export type UsageQuery = z.infer<typeof UsageQuery>;

export const UsageRange = z
  .strictObject({
    from: z.iso.datetime({ offset: true, error: 'Give an ISO 8601 instant such as 2026-11-01T00:00:00Z.' }),
    to: z.iso.datetime({ offset: true, error: 'Give an ISO 8601 instant such as 2026-12-01T00:00:00Z.' }),
  })
  .refine((range) => Date.parse(range.to) > Date.parse(range.from), { path: ['to'], message: 'It must be after from.' });

/** Sums over requests. Unknown counts are not in the sums; `unpricedRequests` and `unmeasuredRequests` say how many lack them. */
export const UsageTotals = z.object({
  requests: count,
  inputTokens: count,
  cachedInputTokens: count,
  cacheWriteTokens: count,
  outputTokens: count,
  reasoningTokens: count,
  totalTokens: count,
  estimatedCostUsd: z.number(),
  unpricedRequests: count,
  unmeasuredRequests: count,
});
export type UsageTotals = z.infer<typeof UsageTotals>;

export const UsageReport = z.object({
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  timezone: z.string(),
  totals: UsageTotals,
  series: z.array(UsageTotals.extend({ start: z.iso.datetime() })),
  byModel: z.array(UsageTotals.extend({ provider: ProviderId, model: z.string().nullable() })),
  byProvider: z.array(UsageTotals.extend({ provider: ProviderId })),
  byKeySource: z.array(UsageTotals.extend({ keySource: KeySource })),
});
export type UsageReport = z.infer<typeof UsageReport>;

/** Intl also takes bare offsets such as +05:17, whose midnight would fall between our 15-minute buckets. */
function isTimezone(name: string): boolean {
  if (/^[+-]/.test(name)) return false;
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }));
  } catch {
    return false;
  }
}

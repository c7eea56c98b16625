import { z } from 'zod';
import { keySources, outcomes } from './bounds.ts';
import { fallbackReasons, KeySource, ProviderId } from './keys.ts';
import { TierSchema } from './plans.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const count = z.int();

export const Timezone = z.string().max(64).refine(isTimezone, 'Name an IANA time zone, such as Europe/Berlin.');

const [firstMs, lastMs] = [Date.parse('0001-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];
/** Others could not be told again: an answer's years have four digits. */
const isTellable = (instant: string): boolean => Date.parse(instant) >= firstMs && Date.parse(instant) <= lastMs;
const instantLike = (example: string) =>
  z.iso
    .datetime({ offset: true, error: `Give an ISO 8601 instant such as ${example}.`, abort: true })
    .refine(isTellable, 'Name an instant of the years 1 to 9999.');

const instants = { from: instantLike('2026-11-01T00:00:00Z'), to: instantLike('2026-12-01T00:00:00Z') };

/** Which requests count; what is left out does not narrow. */
const filters = {
  provider: ProviderId.optional(),
  model: z
    .string('model: a text.')
    .max(512, 'model: at most 512 characters.')
    // PostgreSQL takes none.
    .refine((model) => !model.includes('\0'), 'model: no NUL inside.')
    .optional()
    .describe("As byModel names it; an empty text: the requests whose model is unknown (byModel's null)."),
  keySource: z.enum(keySources, 'keySource: user or platform.').optional(),
};

const rangeFields = {
  from: instants.from.optional(),
  to: instants.to.optional(),
  days: z.int('days: a whole number from 1 to 366.').min(1, 'days: at least 1.').max(366, 'days: at most 366.').optional(),
  hours: z.int('hours: a whole number from 1 to 168.').min(1, 'hours: at least 1.').max(168, 'hours: at most 168.').optional(),
  timezone: Timezone.default('UTC'),
  groupBy: z.enum(['hour', 'day'], { error: 'groupBy: hour or day.' }).optional().describe('day unless given; with hours: hour'),
};
type Range = z.infer<z.ZodObject<typeof rangeFields>>;

function checkRange(query: Range, ctx: z.core.$RefinementCtx) {
  const wrong = (path: string, message: string) => void ctx.addIssue({ code: 'custom', path: [path], message });
  const tooLongByHour = () => wrong('groupBy', 'By hour, the range is at most 31 days.');
  if (query.days !== undefined && (query.from || query.to)) return wrong('days', 'Give either days, or from and to.');
  if (query.hours !== undefined && (query.from || query.to || query.days !== undefined))
    return wrong('hours', 'Give either hours, or days, or from and to.');
  if (query.groupBy === 'hour' && (query.days ?? 0) > 31) return tooLongByHour();
  if (Boolean(query.from) !== Boolean(query.to)) return wrong(query.from ? 'to' : 'from', 'from and to go together.');
  if (!query.from || !query.to) return;
  const lengthMs = Date.parse(query.to) - Date.parse(query.from);
  if (!(lengthMs > 0)) return wrong('to', 'It must be after from.');
  if (lengthMs > 366 * dayMs) return wrong('to', 'The range is at most 366 days.');
  // An October of 31 days is an hour longer where the clocks go back in it.
  if (query.groupBy === 'hour' && lengthMs > 31 * dayMs + hourMs) tooLongByHour();
}

const withPeriod = <T extends Pick<Range, 'groupBy' | 'hours'>>(query: T) => ({
  ...query,
  groupBy: query.groupBy ?? (query.hours === undefined ? ('day' as const) : ('hour' as const)),
});

/**
 * Either `from` and `to` (ISO instants, `to` exclusive), or `days` (so many calendar days of the time zone, today being the last), or
 * `hours` (up to now); nothing at all means the last 30 days. `groupBy` is `day` unless given, with `hours` it is `hour`.
 */
export const UsageQuery = z
  .strictObject({
    ...rangeFields,
    seriesBy: z.enum(['model', 'provider', 'keySource'], { error: 'seriesBy: model, provider or keySource.' }).optional(),
    ...filters,
  })
  .superRefine(checkRange)
  .transform(withPeriod);
export type UsageQuery = z.output<typeof UsageQuery>;

const narrowed = { ...instants, ...filters, outcome: z.enum(outcomes, `outcome: ${outcomes.join(', ')}.`).optional() };
const inOrder = (range: { from: string; to: string }) => Date.parse(range.to) > Date.parse(range.from);
const order = { path: ['to'], message: 'It must be after from.' };

/** What an export holds: the requests that began in `[from, to)`, narrowed as the list is. */
export const UsageExport = z.strictObject(narrowed).refine(inOrder, order);
export type UsageExport = z.infer<typeof UsageExport>;

/** A page of the requests that began in `[from, to)`, the newest first. */
export const UsageRequestsQuery = z
  .strictObject({
    ...narrowed,
    cursor: z
      .string()
      .regex(/^[0-9a-z]{1,11}$/, "cursor: the last answer's nextCursor, as it was.")
      .optional(),
    limit: z.int('limit: a whole number from 1 to 100.').min(1, 'limit: at least 1.').max(100, 'limit: at most 100.').default(50),
  })
  .refine(inOrder, order);
export type UsageRequestsQuery = z.infer<typeof UsageRequestsQuery>;

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

/** One line of a chart, each list aligned with the report's `series`. */
export const UsagePart = z.object({
  provider: ProviderId.optional(),
  model: z.string().nullable().optional(),
  keySource: KeySource.optional(),
  tier: TierSchema.optional(),
  other: z.literal(true).optional().describe('All that are too small for a part of their own, in one.'),
  requests: z.array(count),
  totalTokens: z.array(count),
  estimatedCostUsd: z.array(z.number()),
});
export type UsagePart = z.infer<typeof UsagePart>;

const usdPerMillion = z.number().nullable().describe("Today's public price in dollars per million tokens; null: unknown.");

/**
 * `previous`: the sums of `[previousFrom, previousTo)`, the period of the same length just before. Where the range is of whole days in
 * its time zone, so is that: as many calendar days, so that an hour more or less for summer time shifts nothing. While the range is
 * still running, only the same elapsed part of the earlier one counts: on a morning, `days=1` is held against yesterday's morning.
 * `parts`: only where `seriesBy` asks for them; at most eight and one more for the rest, the largest by cost first, then by tokens,
 * then by requests.
 */
export const UsageReport = z.object({
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  timezone: z.string(),
  totals: UsageTotals,
  previous: UsageTotals,
  previousFrom: z.iso.datetime(),
  previousTo: z.iso.datetime(),
  series: z.array(UsageTotals.extend({ start: z.iso.datetime() })),
  parts: z.array(UsagePart).optional(),
  byModel: z.array(
    UsageTotals.extend({
      provider: ProviderId,
      model: z.string().nullable(),
      inputUsdPerMillion: usdPerMillion,
      outputUsdPerMillion: usdPerMillion,
    }),
  ),
  byProvider: z.array(UsageTotals.extend({ provider: ProviderId })),
  byKeySource: z.array(UsageTotals.extend({ keySource: KeySource })),
});
export type UsageReport = z.infer<typeof UsageReport>;

/** Of everybody, for administrators. */
export const AdminUsageQuery = z
  .strictObject({
    ...rangeFields,
    seriesBy: z.enum(['model', 'provider', 'keySource', 'tier'], { error: 'seriesBy: model, provider, keySource or tier.' }).optional(),
    ...filters,
    tier: TierSchema.optional(),
  })
  .superRefine(checkRange)
  .transform(withPeriod);
export type AdminUsageQuery = z.output<typeof AdminUsageQuery>;
export const AdminUsageReport = UsageReport.extend({ byTier: z.array(UsageTotals.extend({ tier: TierSchema })) });
export type AdminUsageReport = z.infer<typeof AdminUsageReport>;

const utcDay = z.iso
  .date('A day such as 2026-11-23.')
  .refine((day) => isTellable(`${day}T00:00:00Z`), 'Name a day of the years 1 to 9999.');
export const peopleSorts = ['cost', 'requests', 'tokens'] as const;
/** Whole UTC days: `first` and `last`, both counted, or the last `days`, today included; 30 unless told. */
export const PeopleQuery = z
  .strictObject({
    first: utcDay.optional(),
    last: utcDay.optional(),
    days: rangeFields.days,
    sort: z.enum(peopleSorts, { error: 'sort: cost, requests or tokens.' }).default('cost'),
    keySource: filters.keySource,
    offset: z.int('offset: a whole number from 0 to 10000.').min(0, 'offset: at least 0.').max(10_000, 'offset: at most 10000.').default(0),
    limit: z.int('limit: a whole number from 1 to 100.').min(1, 'limit: at least 1.').max(100, 'limit: at most 100.').default(25),
  })
  .superRefine(({ first, last, days }, ctx) => {
    const wrong = (path: string, message: string) => void ctx.addIssue({ code: 'custom', path: [path], message });
    if (Boolean(first) !== Boolean(last)) return wrong(first ? 'last' : 'first', 'first and last go together.');
    if (!first || !last) return;
    if (days !== undefined) return wrong('days', 'Give either days, or first and last.');
    if (last < first) return wrong('last', 'It must not be before first.');
    if (Date.parse(last) - Date.parse(first) >= 366 * dayMs) wrong('last', 'The range is at most 366 days.');
  });
export type PeopleQuery = z.output<typeof PeopleQuery>;
export const PeopleUsage = z.object({
  first: z.iso.date(),
  last: z.iso.date(),
  total: count.describe('How many people used anything on these days.'),
  users: z.array(
    UsageTotals.extend({
      userId: z.string(),
      name: z.string().nullable().describe('null: the account is gone.'),
      email: z.string().nullable(),
    }),
  ),
});
export type PeopleUsage = z.infer<typeof PeopleUsage>;

const known = count.nullable();

/** One request. Counts and cost are null while they are unknown. */
export const UsageRequest = z.object({
  id: z.string().describe('What x-byok-request-id said.'),
  startedAt: z.iso.datetime(),
  durationMs: known,
  provider: ProviderId,
  route: z.string(),
  model: z.string().nullable(),
  keySource: KeySource,
  fallbackReason: z.enum(fallbackReasons).nullable(),
  streamed: z.boolean(),
  state: z.enum(['open', 'done', 'failed']),
  status: known.describe('The HTTP status that the caller got; null: none yet, or it had left.'),
  errorCode: z.string().nullable(),
  inputTokens: known,
  cachedInputTokens: known,
  cacheWriteTokens: known,
  outputTokens: known,
  reasoningTokens: known,
  totalTokens: known,
  estimatedCostUsd: z.number().nullable(),
  estimated: z.boolean().describe('The usage was worked out, not told.'),
  token: z.object({ name: z.string() }).nullable().describe('The access token that was used; null: another way in, or it is gone.'),
  keyHint: z.string().nullable().describe("The user's own key, as ****...abc1; null: the platform's, or it is gone."),
});
export type UsageRequest = z.infer<typeof UsageRequest>;

/**
 * `nextCursor`: null where there are no more. A rare filter is looked for in a bounded number of rows at a time, so a page may hold
 * fewer than `limit`, or none, and still have a cursor: `searchedTo` says how far back was looked. `rowsFrom`: from when on there are single
 * requests, where older ones are deleted after a time (their sums stay); null: from the beginning.
 */
export const UsageRequests = z.object({
  requests: z.array(UsageRequest),
  nextCursor: z.string().nullable(),
  searchedTo: z.iso.datetime(),
  rowsFrom: z.iso.datetime().nullable(),
});
export type UsageRequests = z.infer<typeof UsageRequests>;

/** The caller's usage is another than before. */
export const UsageChange = z.object({ changedAt: z.iso.datetime() });
export type UsageChange = z.infer<typeof UsageChange>;

/** Intl also takes bare offsets such as +05:17, whose midnight would fall between our 15-minute buckets. */
function isTimezone(name: string): boolean {
  if (/^[+-]/.test(name)) return false;
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }));
  } catch {
    return false;
  }
}

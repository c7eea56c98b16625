/**
 * What operators see of the server at work. A request adds plain numbers to one cell at its end; how they are called, and their sums, is
 * worked out when somebody scrapes. Labels are closed sets: whatever clients invent, the number of series is bounded.
 */
import type { ErrorCode, KeySource, ProviderId, TierName } from '@synthstack/core';
import type { Settled } from './meter.ts';
import { createCells, createTally, type MatchedRoute, observe } from './metrics-cells.ts';
import { cellFamilies, countsFamily, exposition, type Family, gaugeFamily, tallyFamily } from './metrics-series.ts';
import type { Outcome } from './providers/provider.ts';

/** One request of the gateway, at its end. */
export interface Ended {
  matched: MatchedRoute;
  /** As the caller named it. */
  model: string | null;
  source: KeySource | null;
  /** Why the platform's key answered in place of the caller's own. */
  fallbackReason: string | null;
  /** `ok`, or how else it ended; one of a closed set. */
  outcome: string;
  /** Of the error of ours that the caller got. */
  code: ErrorCode | null;
  durationMs: number;
  streamed: boolean;
  /** null: it left no row. */
  settled: Settled | null;
}

/** What an upstream call came to: what the provider said, or why it said nothing. */
export type UpstreamOutcome = Outcome | 'unreachable' | 'timeout' | 'client_closed';

export interface MetricsParts {
  version: string;
  /** Connections to providers. */
  openSockets(): number;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics({ version, openSockets }: MetricsParts) {
  const cells = createCells();
  const fallbacks = createTally('provider', 'reason');
  const refusals = createTally('tier', 'window');
  const errors = createTally('code');
  const upstream = createTally('provider', 'key_source', 'outcome');
  const undecoded = createTally('provider');
  let inFlight = 0;
  let streams = 0;

  const families: Family[] = [
    ...cellFamilies(cells.list),
    tallyFamily(
      'fallbacks_total',
      "Requests on the platform's key of people who have a key of their own, by why it did not answer.",
      fallbacks,
    ),
    tallyFamily('limit_refusals_total', "Requests refused by a tier's limits on the platform's key.", refusals),
    tallyFamily('errors_total', 'Answers that were an error of this server, on any route.', errors),
    tallyFamily('upstream_responses_total', 'Calls of providers, by what came of them.', upstream),
    tallyFamily(
      'undecoded_answers_total',
      'Compressed answers of providers that could not be opened, so that their usage is unknown.',
      undecoded,
    ),
    gaugeFamily('requests_in_flight', 'AI requests under way.', () => inFlight),
    gaugeFamily('streams_in_flight', 'AI requests under way that asked for a stream.', () => streams),
    gaugeFamily('upstream_sockets', 'Open connections to providers.', openSockets),
    gaugeFamily('build_info', 'Always 1; the label says which version runs.', () => 1, { version }),
  ];

  return {
    /** An AI request has arrived. `ended` is called for each. */
    began(): void {
      inFlight += 1;
    },
    /** It has turned out to ask for a stream, as `ended` will say too. */
    streaming(): void {
      streams += 1;
    },

    ended({ matched, model, source, fallbackReason, outcome, code, durationMs, streamed, settled }: Ended): void {
      inFlight -= 1;
      if (streamed) streams -= 1;
      if (code) errors.add(code);
      if (fallbackReason && source === 'platform' && matched) fallbacks.add(matched.provider.id, fallbackReason);
      const cell = cells.of(matched, settled?.model ?? model, source, outcome);
      cell.requests += 1;
      observe(cell.duration, durationMs);
      if (!settled) return;
      // Ids may borrow from the future, and requests begin with their ids.
      if (settled.firstByteAt !== null) observe(cell.firstByte, Math.max(0, settled.firstByteAt - settled.startedAt));
      if (settled.answered && settled.costNanoUsd === null) cell.unpriced += 1;
      if (settled.answered && settled.totalTokens === null) cell.unmeasured += 1;
      cell.costNanoUsd += settled.costNanoUsd ?? 0;
      cell.inputTokens += settled.inputTokens ?? 0;
      cell.cachedInputTokens += settled.cachedInputTokens ?? 0;
      cell.cacheWriteTokens += settled.cacheWriteTokens ?? 0;
      cell.outputTokens += settled.outputTokens ?? 0;
      cell.reasoningTokens += settled.reasoningTokens ?? 0;
    },

    upstream(provider: ProviderId, source: KeySource, outcome: UpstreamOutcome): void {
      upstream.add(provider, source, outcome);
    },

    refused(tier: TierName, window: 'minute' | 'day'): void {
      refusals.add(tier, window);
    },

    /** An error of ours outside the gateway. */
    failed(code: ErrorCode): void {
      errors.add(code);
    },

    undecoded(provider: ProviderId): void {
      undecoded.add(provider);
    },

    /** Another figure that is looked at when somebody scrapes. */
    watch(name: string, help: string, value: () => number): void {
      families.push(gaugeFamily(name, help, value));
    },

    /** A counter that somebody else counts, by one label of few values. */
    watchCounts(name: string, help: string, label: string, counts: () => Readonly<Record<string, number>>): void {
      families.push(countsFamily(name, help, label, counts));
    },

    scrape: () => exposition(families),
  };
}

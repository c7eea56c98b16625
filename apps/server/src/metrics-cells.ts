/**
 * Where numbers wait for the next scrape: plain objects, found by nested maps, because adding one to a labelled counter of prom-client
 * costs a request more than all of its metrics may.
 */
import type { KeySource } from '@synthstack/core';
import type { Provider, Route } from './providers/provider.ts';

/** All that requests with the same labels have in common. */
export interface Cell {
  labels: { provider: string; route: string; model: string; key_source: string; outcome: string };
  requests: number;
  duration: Observed;
  firstByte: Observed;
  inputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
  reasoningTokens: number;
  costNanoUsd: number;
  unpriced: number;
  unmeasured: number;
}

export interface Observed {
  /** How many fell into each bucket, not cumulated; the last one is beyond all bounds. */
  buckets: number[];
  sumMs: number;
}

/** Upper bounds in ms: from an error of ours to a reasoning model's answer. */
export const bucketBoundsMs: readonly number[] = [
  10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000,
];

export function observe(observed: Observed, ms: number): void {
  let bucket = 0;
  while (bucket < bucketBoundsMs.length && ms > Number(bucketBoundsMs[bucket])) bucket += 1;
  observed.buckets[bucket] = (observed.buckets[bucket] ?? 0) + 1;
  observed.sumMs += ms;
}

/** The gateway's route that was matched; null: there is no such route. */
export type MatchedRoute = { provider: Pick<Provider, 'id' | 'listed'>; route: Pick<Route, 'path'> } | null;

/** A label of few values in place of a name that a client may make up: the price list's own, or `other`; `none` where none was named. */
function modelLabel(matched: MatchedRoute, model: string | null): string {
  if (model === null) return 'none';
  return matched?.provider.listed(model) ?? 'other';
}

export function createCells() {
  type ByOutcome = Map<string, Cell>;
  type BySource = Record<KeySource | 'none', ByOutcome>;
  type ByModel = Map<string, BySource>;
  const routes = new Map<object | null, ByModel>();
  const list: Cell[] = [];
  const newByModel = (): ByModel => new Map();
  const newBySource = (): BySource => ({ user: new Map(), platform: new Map(), none: new Map() });

  return {
    /** Every cell that there is; those of two methods of one path have the same labels. */
    list,

    of(matched: MatchedRoute, model: string | null, source: KeySource | null, outcome: string): Cell {
      const label = modelLabel(matched, model);
      const byModel = within(routes, matched?.route ?? null, newByModel);
      const byOutcome = within(byModel, label, newBySource)[source ?? 'none'];
      const found = byOutcome.get(outcome);
      if (found) return found;
      const { provider, route } = { provider: matched?.provider.id ?? 'none', route: matched?.route.path ?? 'none' };
      const cell = newCell({ provider, route, model: label, key_source: source ?? 'none', outcome });
      byOutcome.set(outcome, cell);
      list.push(cell);
      return cell;
    },
  };
}

function within<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

function newCell(labels: Cell['labels']): Cell {
  return {
    labels,
    requests: 0,
    duration: newObserved(),
    firstByte: newObserved(),
    inputTokens: 0,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    costNanoUsd: 0,
    unpriced: 0,
    unmeasured: 0,
  };
}

const newObserved = (): Observed => ({ buckets: Array<number>(bucketBoundsMs.length + 1).fill(0), sumMs: 0 });

/** Counts what has at most three labels of closed sets. */
export interface Tally {
  labelNames: readonly string[];
  counts: Map<string, { values: readonly string[]; count: number }>;
  add(first: string, second?: string, third?: string): void;
}

export function createTally(...labelNames: string[]): Tally {
  const counts: Tally['counts'] = new Map();
  return {
    labelNames,
    counts,
    add(first, second = '', third = '') {
      const key = `${first} ${second} ${third}`;
      const one = counts.get(key);
      if (one) one.count += 1;
      else counts.set(key, { values: [first, second, third].slice(0, labelNames.length), count: 1 });
    },
  };
}

/**
 * How the numbers are called outside: the table of series, and their text in Prometheus' exposition format. prom-client is loaded with
 * the first scrape: who never scrapes pays neither its start nor its watching of garbage collection and event loop.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { nanoUsdPerUsd } from '@synthstack/core';
import type { Metric, Registry } from 'prom-client';
import { bucketBoundsMs, type Cell, type Observed, type Tally } from './metrics-cells.ts';

/** Series of one name. Without samples it still has its name and its help. */
export interface Family {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  samples(): Sample[];
}

interface Sample {
  labels: Record<string, string>;
  value: number;
  /** Where it is not the family's: a histogram's parts. */
  metricName?: string;
}

type Label = keyof Cell['labels'];

const kinds = {
  input: 'inputTokens',
  cached_input: 'cachedInputTokens',
  cache_write: 'cacheWriteTokens',
  output: 'outputTokens',
  reasoning: 'reasoningTokens',
} as const;

/** The series of what all requests have done. */
export function cellFamilies(cells: readonly Cell[]): Family[] {
  const sum = (name: string, help: string, by: readonly Label[], value: (cell: Cell) => number, unit = 1): Family => ({
    name: `byok_${name}`,
    help,
    type: 'counter',
    samples: () => grouped(cells, by).flatMap(({ labels, members }) => nonZero(labels, total(members, value) / unit)),
  });
  const payer = ['provider', 'model', 'key_source'] as const;
  return [
    sum('requests_total', 'AI requests that have ended.', ['provider', 'route', 'model', 'key_source', 'outcome'], (cell) => cell.requests),
    histogram(
      'request_duration_seconds',
      'From the arrival of an AI request to its end.',
      cells,
      ['provider', 'key_source', 'outcome'],
      (cell) => cell.duration,
    ),
    histogram(
      'time_to_first_byte_seconds',
      'From the arrival of an AI request to the beginning of its answer, where it was answered.',
      cells,
      ['provider', 'key_source'],
      (cell) => cell.firstByte,
    ),
    {
      name: 'byok_tokens_total',
      help: 'Tokens used. cached_input and cache_write are parts of input, reasoning is a part of output.',
      type: 'counter',
      samples: () =>
        grouped(cells, payer).flatMap(({ labels, members }) =>
          Object.entries(kinds).flatMap(([kind, name]) =>
            nonZero(
              { ...labels, kind },
              total(members, (cell) => cell[name]),
            ),
          ),
        ),
    },
    sum('cost_usd_total', 'Estimated cost in US dollars of what is priced.', payer, (cell) => cell.costNanoUsd, nanoUsdPerUsd),
    sum(
      'unpriced_requests_total',
      'Answered requests whose cost is unknown, and not in byok_cost_usd_total.',
      ['provider', 'key_source'],
      (cell) => cell.unpriced,
    ),
    sum(
      'unmeasured_requests_total',
      'Answered requests whose usage is unknown, and not in byok_tokens_total.',
      ['provider', 'key_source'],
      (cell) => cell.unmeasured,
    ),
  ];
}

/** A cost that is unknown must not be shown as none, nor tokens that nobody counted. */
const nonZero = (labels: Record<string, string>, value: number): Sample[] => (value === 0 ? [] : [{ labels, value }]);

export const tallyFamily = (name: string, help: string, { labelNames, counts }: Tally): Family => ({
  name: `byok_${name}`,
  help,
  type: 'counter',
  samples: () =>
    [...counts.values()].map(({ values, count }) => ({
      labels: Object.fromEntries(labelNames.map((label, i) => [label, values[i] ?? ''])),
      value: count,
    })),
});

export const countsFamily = (name: string, help: string, label: string, counts: () => Readonly<Record<string, number>>): Family => ({
  name: `byok_${name}`,
  help,
  type: 'counter',
  samples: () => Object.entries(counts()).map(([one, value]) => ({ labels: { [label]: one }, value })),
});

export const gaugeFamily = (name: string, help: string, value: () => number, labels: Record<string, string> = {}): Family => ({
  name: `byok_${name}`,
  help,
  type: 'gauge',
  samples: () => [{ labels, value: value() }],
});

/** The text of a scrape: these families, and what prom-client knows of the process. */
export async function exposition(families: readonly Family[]): Promise<{ text: string; contentType: string }> {
  const { Registry } = await import('prom-client');
  const ours = new Registry();
  for (const { name, help, type, samples } of families) {
    const get = async () => ({ name, help, type, values: samples() });
    // All that a registry asks of a metric when it prints it.
    ours.registerMetric({ name, help, type, get } as unknown as Metric<string>);
  }
  return { text: `${await ours.metrics()}\n${await processText()}`, contentType: ours.contentType };
}

function histogram(name: string, help: string, cells: readonly Cell[], by: readonly Label[], observed: (cell: Cell) => Observed): Family {
  const full = `byok_${name}`;
  const samples = () =>
    grouped(cells, by).flatMap(({ labels, members }) => {
      let count = 0;
      const buckets = [...bucketBoundsMs, null].map((boundMs, i) => {
        count += total(members, (cell) => observed(cell).buckets[i] ?? 0);
        const le = boundMs === null ? '+Inf' : String(boundMs / 1_000);
        return { metricName: `${full}_bucket`, labels: { ...labels, le }, value: count };
      });
      if (count === 0) return [];
      const sum = total(members, (cell) => observed(cell).sumMs) / 1_000;
      return [...buckets, { metricName: `${full}_sum`, labels, value: sum }, { metricName: `${full}_count`, labels, value: count }];
    });
  return { name: full, help, type: 'histogram', samples };
}

function grouped(cells: readonly Cell[], by: readonly Label[]): { labels: Record<string, string>; members: Cell[] }[] {
  const groups = new Map<string, { labels: Record<string, string>; members: Cell[] }>();
  for (const cell of cells) {
    const key = by.map((label) => cell.labels[label]).join('\0');
    const group = groups.get(key);
    if (group) group.members.push(cell);
    else groups.set(key, { labels: Object.fromEntries(by.map((label) => [label, cell.labels[label]])), members: [cell] });
  }
  return [...groups.values()];
}

const total = (cells: readonly Cell[], value: (cell: Cell) => number): number => cells.reduce((sum, cell) => sum + value(cell), 0);

/** Of the process, not of an app: prom-client's observers cannot be ended, so they must not begin twice. */
let watched: Promise<Registry> | undefined;
let latest: { atMs: number; text: Promise<string> } | undefined;
/** A scrape resets the event loop's delay, which is sampled every 10 ms: before a few samples its figures would be nonsense. */
const firstSamplesMs = 50;
const freshForMs = 1_000;

async function processText(): Promise<string> {
  watched ??= watchProcess();
  const registry = await watched;
  if (!latest || performance.now() - latest.atMs >= freshForMs) latest = { atMs: performance.now(), text: registry.metrics() };
  return latest.text;
}

async function watchProcess(): Promise<Registry> {
  const { collectDefaultMetrics, Registry } = await import('prom-client');
  const register = new Registry();
  collectDefaultMetrics({ register });
  await wait(firstSamplesMs);
  return register;
}

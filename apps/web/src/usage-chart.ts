/** From a report to what a chart draws. */
import { keySources, providerIds, tierNames, type UsagePart, type UsageReport } from '@synthstack/core';
import type { Measure } from './usage-view.ts';

export interface ChartPart {
  key: string;
  name: string;
  /** Which of the colours; 0: the one of the rest. */
  tone: number;
  /** One for each period. */
  values: number[];
  total: number;
}

const fields = { cost: 'estimatedCostUsd', requests: 'requests', tokens: 'totalTokens' } as const;
/** As many as there are colours that can be told apart. */
export const tones = 8;

/** The parts in which there is something to see, largest first as the report has them, the rest last. */
export function partsOf({ parts, series }: UsageReport, measure: Measure, nameOf: (part: UsagePart) => string): ChartPart[] {
  const all = parts ?? [wholeOf(series)];
  return all
    .map((part, index) => ({
      key: keyOf(part),
      name: nameOf(part),
      tone: toneOf(part, index),
      values: part[fields[measure]],
      total: part[fields[measure]].reduce((sum, value) => sum + value, 0),
    }))
    .filter(({ total }) => total > 0);
}

/** Keys and providers keep their colour, whichever of them comes first. */
function toneOf({ provider, model, keySource, tier, other }: UsagePart, index: number): number {
  if (other) return 0;
  if (keySource) return keySources.indexOf(keySource) + 1;
  if (tier) return tierNames.indexOf(tier) + 1;
  return ((provider && model === undefined ? providerIds.indexOf(provider) : index) % tones) + 1;
}

const keyOf = ({ provider, model, keySource, tier, other }: UsagePart): string =>
  other ? 'other' : JSON.stringify([provider, model, keySource, tier]);

function wholeOf(series: UsageReport['series']): UsagePart {
  return {
    requests: series.map((sum) => sum.requests),
    totalTokens: series.map((sum) => sum.totalTokens),
    estimatedCostUsd: series.map((sum) => sum.estimatedCostUsd),
  };
}

/** The sum of all parts in each period. */
export function totalsOf(parts: readonly ChartPart[], length: number): number[] {
  return Array.from({ length }, (_, i) => parts.reduce((sum, { values }) => sum + (values[i] ?? 0), 0));
}

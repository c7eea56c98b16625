/** Reads Prometheus' text format (0.0.4) strictly: whatever is not in its grammar, or stands in the wrong place, is an error. */

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface ExposedFamily {
  type: string;
  help: string;
  samples: Sample[];
}

const metricName = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const sampleLine = new RegExp(`^(${metricName})(?:\\{(${label}(?:,${label})*)\\})? ([-+]?(?:\\d+(?:\\.\\d+)?(?:e[-+]?\\d+)?|Inf))$`);
const commentLine = new RegExp(`^# (HELP|TYPE) (${metricName}) (.+)$`);

/** @throws Error with the line that is wrong */
export function parseExposition(text: string): Map<string, ExposedFamily> {
  if (!text.endsWith('\n')) throw new Error('The last line has no end.');
  const families = new Map<string, ExposedFamily>();
  const seen = new Set<string>();
  let current: { name: string; family: ExposedFamily } | null = null;
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const comment = commentLine.exec(line);
    if (comment) {
      const [, kind, name = '', rest = ''] = comment;
      if (kind === 'HELP') {
        if (families.has(name)) throw new Error(`Twice: ${line}`);
        current = { name, family: { type: '', help: rest, samples: [] } };
        families.set(name, current.family);
      } else {
        if (current?.name !== name || current.family.type) throw new Error(`Out of place: ${line}`);
        if (!/^(counter|gauge|histogram|summary|untyped)$/.test(rest)) throw new Error(`No such type: ${line}`);
        current.family.type = rest;
      }
      continue;
    }
    const sample = sampleLine.exec(line);
    if (!sample || !current?.family.type) throw new Error(`No sample: ${line}`);
    const [, name = '', labels = '', value = ''] = sample;
    if (!namesOf(current.name, current.family.type).includes(name)) throw new Error(`Out of place: ${line}`);
    const key = `${name}{${[...labels.matchAll(new RegExp(label, 'g'))].sort().join()}}`;
    if (seen.has(key)) throw new Error(`Twice: ${line}`);
    seen.add(key);
    current.family.samples.push({ name, labels: labelsIn(labels), value: Number(value.replace('Inf', 'Infinity')) });
  }
  for (const [name, { type, samples }] of families) {
    if (type === 'histogram') checkHistogram(name, samples);
    if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) throw new Error(`Below zero: ${name}`);
  }
  return families;
}

function namesOf(family: string, type: string): string[] {
  return type === 'histogram' ? [`${family}_bucket`, `${family}_sum`, `${family}_count`] : [family];
}

function labelsIn(text: string): Record<string, string> {
  const found = [...text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)];
  const names = found.map(([, name]) => name);
  if (new Set(names).size !== names.length) throw new Error(`A label twice: ${text}`);
  return Object.fromEntries(found.map(([, name, value = '']) => [name, value.replaceAll(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c))]));
}

/** Buckets rise in bound and never fall in number, the last is all of them, and there is a sum. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const series = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  for (const [labels, members] of series) {
    const part = (suffix: string) => members.filter((one) => one.name === name + suffix);
    const bounds = part('_bucket').map(({ labels: { le = '' } }) => Number(le.replace('Inf', 'Infinity')));
    const counts = part('_bucket').map(({ value }) => value);
    const rises = bounds.every((bound, i) => i === 0 || bound > Number(bounds[i - 1]));
    const grows = counts.every((count, i) => i === 0 || count >= Number(counts[i - 1]));
    const isWhole = bounds.at(-1) === Infinity && part('_count').length === 1 && part('_count')[0]?.value === counts.at(-1);
    if (!rises || !grows || !isWhole || part('_sum').length !== 1) throw new Error(`No histogram: ${name} ${labels}`);
  }
}

/** The value of the one sample whose labels hold all of these; 0 where there is none, as a rate would have it. */
export function exposedValue(families: ReadonlyMap<string, ExposedFamily>, name: string, labels: Record<string, string> = {}): number {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  if (!family) throw new Error(`There is no ${name}.`);
  const found = family.samples.filter(
    (one) => one.name === name && Object.entries(labels).every(([label, value]) => one.labels[label] === value),
  );
  if (found.length > 1) throw new Error(`There are ${found.length} ${name} with ${JSON.stringify(labels)}.`);
  return found[0]?.value ?? 0;
}

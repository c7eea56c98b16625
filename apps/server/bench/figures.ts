/** Numbers of numbers, and how they are shown. */

/** @param sorted  in rising order */
export function quantile(sorted: ArrayLike<number>, part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** The median of ratios that were each taken within one round, and how far they lie apart. */
export function spread(ratios: readonly number[]): string {
  return `${ratio(median(ratios))} (from ${ratio(Math.min(...ratios))} to ${ratio(Math.max(...ratios))})`;
}

/** Columns as wide as they must be, the first to the left, numbers to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  return rows.map((row) => `  ${line(row)}`.trimEnd()).join('\n');
}

/** What could not be measured is shown as unknown. */
const unlessUnknown = (value: number, text: string): string => (Number.isNaN(value) ? '?' : text);

export const ms = (value: number): string => unlessUnknown(value, value.toFixed(2));
export const seconds = (valueMs: number): string => `${(valueMs / 1_000).toFixed(1)} s`;
export const whole = (value: number): string => unlessUnknown(value, Math.round(value).toLocaleString('en'));
export const mb = (bytes: number): string => unlessUnknown(bytes, `${whole(bytes / 1_048_576)} MB`);
export const ratio = (value: number): string => unlessUnknown(value, value.toFixed(2));
export const percent = (part: number): string => `${Math.round(part * 100)}%`;

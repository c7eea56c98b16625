/**
 * Statements that only add to a row, such as the sums of usage: of a batch's many for the same row, one remains. They run after the
 * batch's lists, in the same transaction; of a list that fails they must not count, so then the batch is run once more without that list.
 */
import type { Statement } from './commit.ts';

/** What a batch runs: all of its lists, or of each nothing; then the additions of all lists. */
export interface Batch {
  lists: readonly (readonly Statement[])[];
  /** For each list: some of the additions are its. If such a list fails, nothing of the batch may stay. */
  adding: readonly boolean[];
  additions: readonly Statement[];
}

/** @returns additions one for each row that is added to, in the order of their first appearance */
export function batchOf(lists: readonly (readonly Statement[])[]): Batch {
  const merged = new Map<string, Statement & { params: unknown[] }>();
  const adding = lists.map(hasAdditions);
  const rest = lists.map((list, i) => (adding[i] ? list.filter((one) => !one.adds) : list));
  for (let i = 0; i < lists.length; i += 1) if (adding[i]) for (const one of lists[i] ?? []) if (one.adds) merge(merged, one, one.adds);
  return { lists: rest, adding, additions: [...merged.values()] };
}

function merge(merged: Map<string, Statement & { params: unknown[] }>, one: Statement, adds: readonly number[]): void {
  const key = keyOf(one, adds);
  const sum = merged.get(key);
  if (sum) for (const at of adds) sum.params[at] = Number(sum.params[at]) + Number(one.params[at]);
  else merged.set(key, { sql: one.sql, params: [...one.params] });
}

function hasAdditions(list: readonly Statement[]): boolean {
  for (const one of list) if (one.adds) return true;
  return false;
}

function keyOf({ sql, params }: Statement, adds: readonly number[]): string {
  let key = sql;
  let next = 0;
  for (let i = 0; i < params.length; i += 1) {
    if (adds[next] === i) next += 1;
    // A length before each keeps ('a', 'bc') and ('ab', 'c') apart.
    else key += `\0${String(params[i]).length}:${params[i]}`;
  }
  return key;
}

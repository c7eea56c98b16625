/**
 * Statements that only add to a row, such as the sums of usage: of a batch's many for the same row, one remains. They run after the
 * batch's lists, in the same transaction, and only those of lists that have succeeded.
 */

export interface Addition {
  sql: string;
  params: readonly unknown[];
  /** Where the numbers stand in `params`; all other parameters say which row it is. */
  adds: readonly number[];
}

/** @returns one statement for each row that is added to, in the order of their first appearance */
export function mergeAdditions<One extends Addition>(additions: readonly One[]): One[] {
  const merged = new Map<string, One & { params: unknown[] }>();
  for (const one of additions) {
    const key = keyOf(one);
    const sum = merged.get(key);
    if (sum) for (const at of one.adds) sum.params[at] = Number(sum.params[at]) + Number(one.params[at]);
    else merged.set(key, { ...one, params: [...one.params] });
  }
  return [...merged.values()];
}

function keyOf({ sql, params, adds }: Addition): string {
  let key = sql;
  let next = 0;
  for (let i = 0; i < params.length; i++) {
    if (adds[next] === i) next += 1;
    // A length before each keeps ('a', 'bc') and ('ab', 'c') apart.
    else key += `\0${String(params[i]).length}:${params[i]}`;
  }
  return key;
}

/**
 * Statements that only add to a row, such as the sums of usage: of a batch's many for the same row, one remains. They run after the
 * batch's lists, in the same transaction; of a list that fails they must not count, so then the batch is run once more without that list.
 */
import type { Addend, List, Statement } from './commit.ts';

/** What a batch runs: all of its lists, or of each nothing; then the additions of all lists. */
export interface Batch {
  lists: readonly (readonly Statement[])[];
  /** For each list: some of the additions are its. If such a list fails, nothing of the batch may stay. */
  adding: readonly boolean[];
  additions: readonly Statement[];
}

interface Sum {
  sql: string;
  params: unknown[];
}

/** @returns additions one for each row that is added to, in the order of their first appearance */
export function batchOf(lists: readonly List[]): Batch {
  /** By the statement's text, then by the row. */
  const sums = new Map<string, Map<string, Sum>>();
  const additions: Sum[] = [];
  const places = new Map<string, { addend: Addend; amounts: number[] }>();

  function add({ sql, params }: Statement, adds: readonly number[]): void {
    const rows = sums.get(sql) ?? new Map<string, Sum>();
    if (rows.size === 0) sums.set(sql, rows);
    const row = rowOf(params, adds);
    const sum = rows.get(row);
    if (sum) {
      for (const at of adds) sum.params[at] = (sum.params[at] as number) + (params[at] as number);
      return;
    }
    const first = { sql, params: [...params] };
    rows.set(row, first);
    additions.push(first);
  }

  function gather(addend: Addend): void {
    const known = places.get(addend.place);
    if (!known) places.set(addend.place, { addend, amounts: [...addend.amounts] });
    else for (let i = 0; i < known.amounts.length; i += 1) known.amounts[i] = (known.amounts[i] ?? 0) + (addend.amounts[i] ?? 0);
  }

  const adding = lists.map((list) => list.some(onlyAdds));
  const rest = lists.map((list, i) => {
    if (!adding[i]) return list as readonly Statement[];
    const statements: Statement[] = [];
    for (const one of list) {
      if ('amounts' in one) gather(one);
      else if (one.adds) add(one, one.adds);
      else statements.push(one);
    }
    return statements;
  });
  for (const { addend, amounts } of places.values()) {
    for (const one of addend.statements(amounts)) {
      if (one.adds) add(one, one.adds);
      // Nobody else adds to its row: it need not be looked for among the others.
      else additions.push({ sql: one.sql, params: one.params as unknown[] });
    }
  }
  return { lists: rest, adding, additions };
}

const onlyAdds = (one: Statement | Addend): boolean => 'amounts' in one || one.adds !== undefined;

/** Which row it is, by all that is not added. */
function rowOf(params: readonly unknown[], adds: readonly number[]): string {
  let row = '';
  let next = 0;
  for (let i = 0; i < params.length; i += 1) {
    if (adds[next] === i) {
      next += 1;
      continue;
    }
    const text = String(params[i]);
    // A length before each keeps ('a', 'bc') and ('ab', 'c') apart.
    row += `${text.length}:${text}`;
  }
  return row;
}

/**
 * What travels between the event loop and the writer's thread: a batch as a few flat lists, because each small object on the way costs more
 * than the value in it. A text of SQL is kilobytes and always the same, so it travels once and is a number afterwards.
 */
import type { Outcome, Result, Statement } from './commit.ts';
import type { Batch } from './sums.ts';

export interface WireBatch {
  /** How many lists; of each how many statements; of each statement its text's number, whether it must touch a row, how many parameters. */
  shape: Uint32Array;
  /** The parameters of all statements: a number itself, or where among `others` it stands. */
  values: Float64Array;
  /** One a value: `isNumber`, `isNull` or `isOther`. */
  kinds: Uint8Array;
  /** Texts, and whatever else is no number, each once. */
  others: unknown[];
  adding: readonly boolean[];
  /** The texts that the other side does not know yet, from number `from` on. */
  texts: string[];
  /** 0: all texts that were sent before are forgotten. */
  from: number;
}

/** A statement as the writer runs it. */
export type WireStatement = [text: number, params: unknown[], must: boolean];
/** Rows changed, or the rows returned. */
type WireResult = number | unknown[][];
/** Of a list of one statement that returned no rows, only how many it changed: nearly all are such. */
export type WireOutcome = number | WireResult[] | Extract<Outcome, { failure: string }>;

const [isNumber, isNull, isOther] = [0, 1, 2];
const maxTexts = 1_000;

/** The sending side. */
export function createPacker() {
  let numbers = new Map<string, number>();

  return ({ lists, adding, additions }: Batch): WireBatch => {
    if (numbers.size >= maxTexts) numbers = new Map();
    const from = numbers.size;
    const texts: string[] = [];
    const numberOf = (sql: string): number => {
      const known = numbers.get(sql);
      if (known !== undefined) return known;
      const number = numbers.size;
      numbers.set(sql, number);
      texts.push(sql);
      return number;
    };
    const [statements, params] = sizeOf([...lists, additions]);
    const shape = new Uint32Array(2 + lists.length + 3 * statements);
    const values = new Float64Array(params);
    const kinds = new Uint8Array(params);
    const others: unknown[] = [];
    const places = new Map<unknown, number>();
    let [at, next] = [0, 0];

    function placeOf(value: unknown): number {
      const known = places.get(value);
      if (known !== undefined) return known;
      places.set(value, others.length);
      return others.push(value) - 1;
    }

    function put(list: readonly Statement[]): void {
      shape[at++] = list.length;
      for (const one of list) {
        shape[at++] = numberOf(one.sql);
        shape[at++] = one.must ? 1 : 0;
        shape[at++] = one.params.length;
        for (const value of one.params) {
          if (typeof value === 'number') values[next] = value;
          else if (value === null) kinds[next] = isNull;
          else {
            kinds[next] = isOther;
            values[next] = placeOf(value);
          }
          next += 1;
        }
      }
    }

    shape[at++] = lists.length;
    for (const list of lists) put(list);
    put(additions);
    return { shape, values, kinds, others, adding, texts, from };
  };
}

function sizeOf(lists: readonly (readonly Statement[])[]): [statements: number, params: number] {
  let [statements, params] = [0, 0];
  for (const list of lists) {
    statements += list.length;
    for (const one of list) params += one.params.length;
  }
  return [statements, params];
}

/** The receiving side. @returns the lists, and what is added after them */
export function unpackBatch({ shape, values, kinds, others }: WireBatch): { lists: WireStatement[][]; additions: WireStatement[] } {
  let [at, next] = [0, 0];
  const take = () => shape[at++] ?? 0;

  function takeParams(length: number): unknown[] {
    const params: unknown[] = [];
    for (const end = next + length; next < end; next += 1) {
      const kind = kinds[next];
      params.push(kind === isNumber ? values[next] : kind === isNull ? null : others[values[next] ?? 0]);
    }
    return params;
  }

  function takeList(): WireStatement[] {
    const list: WireStatement[] = [];
    for (let left = take(); left > 0; left -= 1) {
      const text = take();
      const must = take() === 1;
      list.push([text, takeParams(take()), must]);
    }
    return list;
  }

  const lists: WireStatement[][] = [];
  for (let left = take(); left > 0; left -= 1) lists.push(takeList());
  return { lists, additions: takeList() };
}

/** What `prepare` made of each text, by the text's number. */
export function createTexts<Prepared>(prepare: (sql: string) => Prepared) {
  const sources: string[] = [];
  const made: (Prepared | undefined)[] = [];

  return {
    learn({ texts, from }: WireBatch): void {
      sources.length = from;
      made.length = from;
      sources.push(...texts);
    },
    /** @throws whatever `prepare` throws, at the statement that needs it and at no other */
    get(number: number): Prepared {
      const known = made[number];
      if (known !== undefined) return known;
      const source = sources[number];
      if (source === undefined) throw new Error('A statement without a text.');
      const fresh = prepare(source);
      made[number] = fresh;
      return fresh;
    },
  };
}

export function packResults(results: readonly Result[]): WireOutcome {
  const [first] = results;
  if (first && results.length === 1 && first.rows.length === 0) return first.changes;
  return results.map(({ changes, rows }) => (rows.length > 0 ? rows : changes));
}

export function unpackOutcome(outcome: WireOutcome): Outcome {
  if (typeof outcome === 'number') return { results: [{ changes: outcome, rows: [] }] };
  if (!Array.isArray(outcome)) return outcome;
  return { results: outcome.map((result) => (typeof result === 'number' ? { changes: result, rows: [] } : { changes: 0, rows: result })) };
}

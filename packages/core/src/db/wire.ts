/**
 * What travels between the event loop and the writer's thread. A statement's text is kilobytes and always the same, so it
 * travels once and is a number afterwards; a result is mostly one number too.
 */
import type { Outcome, Result, Statement } from './commit.ts';
import type { Batch } from './sums.ts';

export type WireStatement = [text: number, params: readonly unknown[], must: boolean];
export type WireOutcome = { results: WireResult[] } | Extract<Outcome, { failure: string }>;
/** Rows changed, or the rows returned. */
type WireResult = number | unknown[][];

/** A batch (sums.ts), and the texts that the other side does not know yet, from number `from` on. */
export interface WireBatch {
  lists: WireStatement[][];
  adding: readonly boolean[];
  additions: WireStatement[];
  texts: string[];
  /** 0: all texts that were sent before are forgotten. */
  from: number;
}

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
    const wired = (one: Statement): WireStatement => [numberOf(one.sql), one.params, one.must === true];
    return { lists: lists.map((list) => list.map(wired)), adding, additions: additions.map(wired), texts, from };
  };
}

/** The receiving side: what `prepare` made of each text, by the text's number. */
export function createUnpacker<Prepared>(prepare: (sql: string) => Prepared) {
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

export const packResult = ({ changes, rows }: Result): WireResult => (rows.length > 0 ? rows : changes);

export function unpackOutcome(outcome: WireOutcome): Outcome {
  if (!('results' in outcome)) return outcome;
  return {
    results: outcome.results.map((result) => (typeof result === 'number' ? { changes: result, rows: [] } : { changes: 0, rows: result })),
  };
}

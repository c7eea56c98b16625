/** What a request's input consists of, gathered to be counted: texts, each by itself, and tokens that are known without counting. */
import { isObject } from './reading.ts';

export interface Tally {
  texts: string[];
  tokens: number;
}

export const newTally = (): Tally => ({ texts: [], tokens: 0 });

export function addText(tally: Tally, value: unknown): void {
  if (typeof value === 'string' && value !== '') tally.texts.push(value);
}

/** Every text in a value of which nothing better is known. Numbers are tokens: a prompt may be a list of them. */
export function addAll(tally: Tally, value: unknown, depth = 0): void {
  if (typeof value === 'number') tally.tokens += 1;
  else if (typeof value === 'string') addText(tally, isBinary(value) ? '' : value);
  else if (depth > maxDepth) return;
  else if (Array.isArray(value)) for (const item of value) addAll(tally, item, depth + 1);
  else if (isObject(value)) for (const item of Object.values(value)) addAll(tally, item, depth + 1);
}

/** As the JSON in which the model is shown it. */
export function addJson(tally: Tally, value: unknown): void {
  try {
    addText(tally, JSON.stringify(value));
  } catch {
    // Nested too deep to be written, though it could be read.
    addAll(tally, value);
  }
}

/** Nobody nests words deeper, and a stranger may nest anything. */
const maxDepth = 64;

/** Images, files and sounds inside JSON: their tokens are not those of their letters. */
const isBinary = (text: string): boolean => /^data:[^,]{0,200};base64,/.test(text) || (text.length > 1_000 && /^[\w+/=-]{1000}/.test(text));

/**
 * Reading what others wrote: a provider's JSON may lack any field, or hold another type there, so nothing here throws.
 * Also keeps a stream's text within bounds, and parses it only when it is asked for.
 */

export type Fields = Record<string, unknown>;

/** The fields of an object; none where the value is something else. */
export function fields(value: unknown): Fields {
  return isObject(value) ? value : {};
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A number of tokens; 0 where the value is none. */
export function count(value: unknown): number {
  return isCount(value) ? value : 0;
}

/** No answer has a billion tokens: a larger number would one day be too much for the sums, which people then could not see any more. */
const maxCount = 1e9;

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= maxCount;
}

/** Parsed JSON, or undefined. */
export function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** The `type` of an event: its `event:` field, or, where a proxy took that away, what the data says. */
export function eventType(name: string, data: string): string {
  return name === '' ? text(fields(parsed(data)).type) : name;
}

const maxText = 1_048_576;
const maxRaw = 262_144;

export interface TextKeeper {
  keep(data: string): void;
  text(): string;
}

/**
 * Holds the text of a stream. Most streams end well and nobody asks, so events are kept as they came and parsed on demand. JSON is fifty
 * times as long as the word in it: once 256 KiB of it have gathered, each new event pays for parsing the oldest, so none waits for many.
 */
export function keepText(textOf: (event: Fields) => string): TextKeeper {
  const words: string[] = [];
  let room = maxText;
  let raw: string[] = [];
  let oldest = 0;
  let rawLength = 0;

  function digestOne(): void {
    const data = raw[oldest] ?? '';
    oldest += 1;
    rawLength -= data.length;
    const word = room > 0 ? textOf(fields(parsed(data))).slice(0, room) : '';
    if (word !== '') words.push(word);
    room -= word.length;
  }

  return {
    keep(data) {
      if (room <= 0) return;
      raw.push(data);
      rawLength += data.length;
      while (rawLength > maxRaw) digestOne();
      if (oldest > 1_024 || room <= 0) {
        raw = raw.slice(room > 0 ? oldest : raw.length);
        oldest = 0;
      }
    },
    text() {
      while (oldest < raw.length) digestOne();
      raw = [];
      oldest = 0;
      return words.join('');
    },
  };
}

/**
 * Reads usage from an event stream while its bytes pass. Whole events are let through as they complete, unchanged; of the last
 * one the byte that completes it is kept back, so that the answer cannot end before its usage is on disk.
 */
import type { StreamReader } from '../providers/provider.ts';

export interface Passage {
  /** To be sent now; null: nothing yet. */
  forward: Buffer | null;
  /** To be sent once the usage is on disk: the end of the terminal event, and whatever followed. */
  held: Buffer | null;
}

export interface Tap {
  push(chunk: Buffer): Passage;
  /** What is left of an event that never completed. */
  rest(): Buffer | null;
  /** The terminal event has passed. */
  readonly finished: boolean;
  /** The provider gave up inside the stream, and said so. */
  readonly gaveUp: boolean;
}

export interface TapOptions {
  reader: StreamReader;
  /** The event that only tells usage was asked for by us, not by the client, who must not see it. */
  dropUsageEvent: boolean;
  /** Larger events pass unread, as they come. */
  maxEventBytes?: number;
}

const newline = 0x0a;
const carriageReturn = 0x0d;

export function createTap({ reader, dropUsageEvent, maxEventBytes = 1_048_576 }: TapOptions): Tap {
  let kept: Buffer | null = null;
  /** Where to go on looking for the end of the event in `kept`. */
  let lookFrom = 0;
  /** We are inside an event that was too large to keep. */
  let passing = false;
  let finished = false;
  let gaveUp = false;

  function push(chunk: Buffer): Passage {
    if (finished) return { forward: null, held: chunk };
    const bytes = kept ? Buffer.concat([kept, chunk]) : chunk;
    const pieces: Buffer[] = [];
    let sentTo = 0;
    let eventStart = 0;
    for (let end = endOfEvent(bytes, Math.max(0, lookFrom)); end !== -1; end = endOfEvent(bytes, eventStart)) {
      const verdict = passing ? 'pass' : read(bytes, eventStart, end);
      passing = false;
      if (verdict === 'usage_only' && dropUsageEvent) {
        if (eventStart > sentTo) pieces.push(bytes.subarray(sentTo, eventStart));
        sentTo = end;
      }
      if (verdict === 'error') gaveUp = true;
      eventStart = end;
      if (verdict === 'terminal') {
        finished = true;
        kept = null;
        // Without its last newline the event is not complete for any reader.
        return { forward: join(pieces, bytes, sentTo, end - 1), held: bytes.subarray(end - 1) };
      }
    }
    if (passing || bytes.length - eventStart > maxEventBytes) {
      // Keep three bytes: they may be the beginning of the blank line that ends the event.
      const tail = Math.max(eventStart, bytes.length - 3);
      passing = true;
      kept = bytes.subarray(tail);
      lookFrom = 0;
      return { forward: join(pieces, bytes, sentTo, tail), held: null };
    }
    kept = eventStart < bytes.length ? bytes.subarray(eventStart) : null;
    lookFrom = kept ? kept.length - 3 : 0;
    return { forward: join(pieces, bytes, sentTo, eventStart), held: null };
  }

  function read(bytes: Buffer, start: number, end: number) {
    let name = '';
    let data = '';
    for (let lineStart = start; lineStart < end; ) {
      let lineEnd = bytes.indexOf(newline, lineStart);
      if (lineEnd === -1) lineEnd = end;
      const stop = lineEnd > lineStart && bytes[lineEnd - 1] === carriageReturn ? lineEnd - 1 : lineEnd;
      // 'd' and 'e': the two fields that matter; comments, ids and retry times pass.
      if (bytes[lineStart] === 0x64)
        data = data ? `${data}\n${fieldValue(bytes, 'data:', lineStart, stop)}` : fieldValue(bytes, 'data:', lineStart, stop);
      else if (bytes[lineStart] === 0x65) name = fieldValue(bytes, 'event:', lineStart, stop);
      lineStart = lineEnd + 1;
    }
    return data || name ? reader.event(name, data) : 'pass';
  }

  return {
    push,
    rest: () => kept,
    get finished() {
      return finished;
    },
    get gaveUp() {
      return gaveUp;
    },
  };
}

function fieldValue(bytes: Buffer, field: string, start: number, stop: number): string {
  const line = bytes.toString('utf8', start, stop);
  if (!line.startsWith(field)) return '';
  return line.charCodeAt(field.length) === 0x20 ? line.slice(field.length + 1) : line.slice(field.length);
}

function join(pieces: Buffer[], bytes: Buffer, from: number, to: number): Buffer | null {
  if (to > from) pieces.push(bytes.subarray(from, to));
  if (pieces.length <= 1) return pieces[0] ?? null;
  return Buffer.concat(pieces);
}

/** The index after the blank line that ends the event, or -1. Lines end with LF or CR LF. */
function endOfEvent(bytes: Buffer, from: number): number {
  for (let i = bytes.indexOf(newline, from); i !== -1; i = bytes.indexOf(newline, i + 1)) {
    if (bytes[i + 1] === newline) return i + 2;
    if (bytes[i + 1] === carriageReturn && bytes[i + 2] === newline) return i + 3;
  }
  return -1;
}

/**
 * Reads usage from an event stream while its bytes pass. Whole events are let through as they complete, unchanged; of the last
 * one the blank line that completes it is kept back, so that the answer cannot end before its usage is on disk.
 */
import type { StreamReader, StreamVerdict } from '../providers/provider.ts';

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
  /** What the client sees in place of an event in which the provider gives up; null: that event itself. */
  inPlaceOf?(error: Buffer): Buffer | null;
  /** Larger events pass unread, as they come. */
  maxEventBytes?: number;
}

const none: Buffer = Buffer.alloc(0);
const newline = 0x0a;
const carriageReturn = 0x0d;
/** So many bytes at the end of a piece may be the beginning of the blank line that ends the event, and one more. */
const seamBytes = 3;
/** A stream that drips byte by byte makes many pieces: beyond these they are joined, so that they take no more than their bytes. */
const maxPieces = 1_024;

export function createTap({ reader, dropUsageEvent, inPlaceOf, maxEventBytes = 1_048_576 }: TapOptions): Tap {
  /** The event that has not ended yet. */
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let seam: Buffer = none;
  /** We are inside an event that was too large to keep. */
  let passing = false;
  let finished = false;
  let gaveUp = false;

  function keep(pieces: Buffer[], length: number, end: Buffer): void {
    kept = pieces.length > maxPieces ? [Buffer.concat(pieces)] : pieces;
    keptBytes = length;
    // Not even an empty view of a piece that has passed: it would keep all of that piece.
    seam = length === 0 ? none : end.subarray(Math.max(0, end.length - seamBytes));
  }

  function push(chunk: Buffer): Passage {
    if (finished) return { forward: null, held: chunk };
    const around = seam.length > 0 ? Buffer.concat([seam, chunk]) : chunk;
    // Nothing ends here, so nothing is joined: each byte of a long event is looked at once.
    if (endOfEvent(around, 0) === -1) {
      kept.push(chunk);
      keep(kept, keptBytes + chunk.length, around);
      return { forward: overflow(), held: null };
    }
    return passEvents(kept.length > 0 ? Buffer.concat([...kept, chunk]) : chunk, keptBytes - seam.length);
  }

  function passEvents(bytes: Buffer, lookFrom: number): Passage {
    const pieces: Buffer[] = [];
    let sentTo = 0;
    let eventStart = 0;
    for (let end = endOfEvent(bytes, lookFrom); end !== -1; end = endOfEvent(bytes, eventStart)) {
      const verdict = passing ? 'pass' : read(bytes, eventStart, end);
      passing = false;
      if (verdict === 'usage_only' && dropUsageEvent) {
        if (eventStart > sentTo) pieces.push(bytes.subarray(sentTo, eventStart));
        sentTo = end;
      }
      if (verdict === 'error') {
        gaveUp = true;
        const other = inPlaceOf?.(bytes.subarray(eventStart, end));
        if (other) {
          pieces.push(bytes.subarray(sentTo, eventStart), other);
          sentTo = end;
        }
      }
      eventStart = end;
      if (verdict === 'terminal') {
        finished = true;
        keep([], 0, none);
        // Without its blank line the event is not complete for any reader.
        const blank = bytes[end - 2] === carriageReturn ? end - 2 : end - 1;
        return { forward: join(pieces, bytes, sentTo, blank), held: bytes.subarray(blank) };
      }
    }
    const left = bytes.subarray(eventStart);
    keep(left.length > 0 ? [left] : [], left.length, left);
    const forward = join(pieces, bytes, sentTo, eventStart);
    const more = overflow();
    return { forward: forward && more ? Buffer.concat([forward, more]) : (forward ?? more), held: null };
  }

  /** Of an event that is too large to keep, all passes but the bytes that may be the beginning of its end. */
  function overflow(): Buffer | null {
    if (!passing && keptBytes <= maxEventBytes) return null;
    passing = true;
    const bytes = Buffer.concat(kept);
    const tail = Math.max(0, bytes.length - seamBytes);
    keep([bytes.subarray(tail)], bytes.length - tail, bytes);
    return tail > 0 ? bytes.subarray(0, tail) : null;
  }

  function read(bytes: Buffer, start: number, end: number): StreamVerdict {
    let name = '';
    const data: string[] = [];
    for (let lineStart = start; lineStart < end; ) {
      let lineEnd = bytes.indexOf(newline, lineStart);
      if (lineEnd === -1) lineEnd = end;
      const stop = lineEnd > lineStart && bytes[lineEnd - 1] === carriageReturn ? lineEnd - 1 : lineEnd;
      // 'd' and 'e': the two fields that matter; comments, ids and retry times pass.
      if (bytes[lineStart] === 0x64) data.push(fieldValue(bytes, 'data:', lineStart, stop));
      else if (bytes[lineStart] === 0x65) name = fieldValue(bytes, 'event:', lineStart, stop);
      lineStart = lineEnd + 1;
    }
    if (data.length === 0 && name === '') return 'pass';
    try {
      return reader.event(name, data.length === 1 ? (data[0] ?? '') : data.join('\n'));
    } catch {
      // Whatever a provider sends, reading it never stops the bytes.
      return 'pass';
    }
  }

  return {
    push,
    rest: () => (keptBytes > 0 ? Buffer.concat(kept) : null),
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

/**
 * An answer as it is told: whoever listens, from wherever, gets what comes after the last thing they have. An event's number is its place
 * in the answer (1: the start; then so many characters of text; then what ends it), so nothing has to be kept but the text itself, and
 * whoever was slow or away gets what they missed in one piece.
 */
import type { AnswerEvent } from '@synthstack/core';

export interface Numbered {
  at: number;
  event: AnswerEvent;
}

export type Transcript = ReturnType<typeof createTranscript>;

export function createTranscript() {
  let start: AnswerEvent | null = null;
  let pieces: { at: number; text: string }[] = [];
  let length = 0;
  let tail: readonly AnswerEvent[] | null = null;
  let news = Promise.withResolvers<void>();

  function tell(): void {
    news.resolve();
    news = Promise.withResolvers();
  }

  function since(at: number): string {
    let first = pieces.length;
    while (first > 0 && (pieces[first - 1]?.at ?? 0) >= at) first -= 1;
    const text = pieces
      .slice(Math.max(0, first - 1))
      .map((piece) => piece.text)
      .join('');
    return text.slice(at - (pieces[Math.max(0, first - 1)]?.at ?? 0));
  }

  /** Thousands of pieces take many times the memory of their text. */
  function join(): string {
    const text = since(0);
    pieces = text === '' ? [] : [{ at: 0, text }];
    return text;
  }

  function after(at: number): Numbered | null {
    if (!start) return null;
    if (at < 1) return { at: 1, event: start };
    const said = at - 1;
    if (said < length) return { at: length + 1, event: { type: 'delta', text: since(said) } };
    const event = tail?.[said - length];
    return event ? { at: at + 1, event } : null;
  }

  return {
    /** To be called once, first. */
    begin(event: AnswerEvent): void {
      start = event;
      tell();
    },
    say(text: string): void {
      if (text === '') return;
      pieces.push({ at: length, text });
      length += text.length;
      tell();
    },
    /** To be called once, last. */
    close(...events: AnswerEvent[]): void {
      tail = events;
      join();
      tell();
    },

    get hasBegun(): boolean {
      return start !== null;
    },
    /** Characters. */
    get length(): number {
      return length;
    },
    get isOver(): boolean {
      return tail !== null;
    },
    get text(): string {
      return join();
    },

    /** What comes after `at`, until the last event or until the signal. */
    async *follow(at: number, signal: AbortSignal): AsyncGenerator<Numbered, void> {
      const left = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      let reached = at;
      while (!signal.aborted) {
        const waiting = news.promise;
        const next = after(reached);
        if (next) {
          reached = next.at;
          yield next;
        } else if (tail) return;
        else await Promise.race([waiting, left]);
      }
    },
  };
}

/**
 * The last line of an answer may name a colleague: `<handover to="developer"/>`. It is taken out of the text, however the provider has cut
 * it into pieces: whatever may yet become that line waits until it is known.
 */

const tag = /^<handover\s+to="([a-z][a-z0-9_]{1,31})"\s*\/?>\s*$/;
const name = '<handover';
/** No such line is longer. */
const mostHeld = 80;

export interface Handover {
  /** @returns what can be shown of all that has come */
  push(text: string): string;
  /** To be called once, when all has come. @returns what was still held, and the colleague; null: none is named */
  finish(): { text: string; to: string | null };
}

/** Of an agent who was told of no colleagues: whatever it says is text, also that line. */
export const noHandover: Handover = {
  push: (text) => text,
  finish: () => ({ text: '', to: null }),
};

export function createHandover(): Handover {
  let held = '';

  return {
    push(text) {
      held += text;
      const end = shownUntil(held);
      const shown = held.slice(0, end);
      held = held.slice(end);
      return shown;
    },

    finish() {
      const line = held.trimStart();
      const to = tag.exec(line)?.[1] ?? null;
      // A line that was cut off says nothing to anybody.
      const isLine = to !== null || line.startsWith(name);
      return { text: isLine ? '' : held.trimEnd(), to };
    },
  };
}

/** Where the part begins that may be the line, with the white space before it. */
function shownUntil(text: string): number {
  const from = text.lastIndexOf('<');
  const tail = from === -1 ? '' : text.slice(from);
  const start = from !== -1 && tail.trimEnd().length <= mostHeld && mayBecome(tail) ? from : text.length;
  const shown = text.slice(0, start).trimEnd().length;
  return start - shown > mostHeld ? start : shown;
}

function mayBecome(tail: string): boolean {
  return name.startsWith(tail) || tag.test(tail) || /^<handover\s[^<>]*(\/?>\s*)?$/.test(tail);
}

/**
 * A growing text in two parts: blocks that no later text can change, and the rest. So only the rest is rendered again while an answer
 * streams, however long the answer is.
 */

/** Where the rest begins: the last block that has begun, or 0. `starts` are the first lines of the text's outermost blocks. */
export function settledLength(text: string, startsOf: (lines: string) => number[]): number {
  // Half a line may yet turn out to be something else: `2` a list's next point, `-` a heading's underline.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const last = startsOf(whole).at(-1) ?? 0;
  return offsetOfLine(whole, last);
}

function offsetOfLine(text: string, line: number): number {
  let offset = 0;
  for (let n = 0; n < line; n += 1) offset = text.indexOf('\n', offset) + 1;
  return offset;
}

/** A fence that has begun with the text and not ended: what it says it holds, and what it holds so far. */
export function openFence(text: string): { info: string; code: string } | null {
  const [opening, mark, info] = /^ {0,3}(`{3,}(?=[^`\n]*\n)|~{3,})([^\n]*)\n/.exec(text) ?? [];
  if (opening === undefined || mark === undefined) return null;
  const code = text.slice(opening.length);
  const closing = new RegExp(`^ {0,3}\\${mark[0]}{${mark.length},}[ \\t]*$`, 'm');
  // The last line may become the closing one.
  return closing.test(code) ? null : { info: info ?? '', code: code.replace(/(^|\n) {0,3}[`~]{0,2}$/, '$1') };
}

/** Without a last line that only begins something: it would be shown as what it is not, for a moment. */
export const withoutHalfMark = (text: string): string =>
  text.replace(/(^|\n)[ \t]*(?:([-*+=_>|~`]{1,3}|\d{1,9}[.)]?|#{1,6})[ \t]*)?$/, '$1');

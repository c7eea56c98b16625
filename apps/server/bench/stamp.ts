/** A moment inside a chunk's content. The clock is the same in all processes of a machine, and counts nanoseconds. */

const mark = '"content":"ns:';
const digits = 16;
const pattern = Buffer.from(mark);

/** @param event  a content event, with any text in it; the stamped one always has the same length */
export function createStamp(event: string): () => Buffer {
  const [before = '', after = ''] = event.split(/"content":"[^"]*/, 2);
  const start = before + mark;
  const framed = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
  return () => Buffer.from(framed(start + String(nowNs()).padStart(digits, '0') + after));
}

/** How many milliseconds ago each chunk of a piece was stamped. A chunk that is cut in the middle of its stamp is left out. */
export function agesOf(piece: Buffer): number[] {
  const ages: number[] = [];
  for (let at = piece.indexOf(pattern); at >= 0; at = piece.indexOf(pattern, at + 1)) {
    const from = at + pattern.length;
    const text = piece.toString('latin1', from, from + digits);
    if (text.length === digits) ages.push((nowNs() - Number(text)) / 1e6);
  }
  return ages;
}

/** Exact for the first hundred days of a machine, and to a few nanoseconds for the years after. */
const nowNs = (): number => Number(process.hrtime.bigint());

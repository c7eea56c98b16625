/**
 * Looks for a secret, or any piece of it, in bytes: files, answers, logs. A piece is 8 characters in a row; forms are raw, UTF-16, base64
 * and base64url in all three alignments, hex, URL and JSON escapes.
 */

const pieceLength = 8;
/** What every key of a provider begins with is no secret, and stands in our own pages. */
const publicStart = /^(sk-ant-(api\d\d-|admin\d\d-)?|sk-(proj-|svcacct-|admin-)?|byok_)/;

/**
 * @returns one line for each find, such as `base64 (1) of characters 12-19 at byte 4711`; never the secret itself
 * @throws  if the secret is too short to be looked for
 */
export function findPlanted(secret: string, haystack: Buffer): string[] {
  const first = publicStart.exec(secret)?.[0].length ?? 0;
  if (secret.length - first < pieceLength) throw new Error('This is too short to be looked for.');
  const finds: string[] = [];
  for (let start = first; start + pieceLength <= secret.length; start += 1) {
    for (const [form, needle] of formsOf(secret.slice(start, start + pieceLength))) {
      const at = haystack.indexOf(needle);
      if (at >= 0) finds.push(`${form} of characters ${start}-${start + pieceLength - 1} at byte ${at}`);
    }
  }
  return finds;
}

/** Every way in which a piece may be written, as bytes to look for. */
function formsOf(piece: string): [string, Buffer][] {
  const bytes = Buffer.from(piece, 'utf8');
  const hex = bytes.toString('hex');
  const percent = hex.replace(/../g, '%$&');
  const forms: [string, string | Buffer][] = [
    ['raw', piece],
    ['UTF-16', Buffer.from(piece, 'utf16le')],
    ['hex', hex],
    ['hex, upper case', hex.toUpperCase()],
    ['URL', encodeURIComponent(piece)],
    ['URL, all escaped', percent],
    ['URL, all escaped, upper case', percent.toUpperCase()],
    ['JSON', JSON.stringify(piece).slice(1, -1)],
    ['JSON, all escaped', hex.replace(/../g, '\\u00$&')],
    ...[0, 1, 2].flatMap((alignment): [string, string][] => {
      const inner = base64Inside(bytes, alignment);
      return [
        [`base64 (${alignment})`, inner],
        [`base64url (${alignment})`, inner.replaceAll('+', '-').replaceAll('/', '_')],
      ];
    }),
  ];
  const seen = new Set<string>();
  return forms
    .map(([form, needle]): [string, Buffer] => [form, Buffer.from(needle as string)])
    .filter(([, needle]) => !seen.has(needle.toString('hex')) && seen.add(needle.toString('hex')));
}

/** The base64 characters that these bytes alone decide, when so many bytes (modulo 3) stand before them. */
function base64Inside(bytes: Buffer, alignment: number): string {
  const text = Buffer.concat([Buffer.alloc(alignment), bytes]).toString('base64');
  const firstWhole = Math.ceil((alignment * 8) / 6);
  const afterWhole = Math.floor(((alignment + bytes.length) * 8) / 6);
  return text.slice(firstWhole, afterWhole);
}

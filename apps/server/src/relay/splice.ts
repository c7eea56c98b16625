/**
 * Asks a streaming request for its usage by inserting bytes into the original body, which is never re-serialised: JavaScript
 * would change large integers in it.
 */

/** @param body  a JSON object in UTF-8 that JSON.parse has accepted @returns a body in which `stream_options.include_usage` is true */
export function askForUsage(body: Buffer, parsed: Record<string, unknown>): Buffer {
  const options = parsed.stream_options;
  const whole = scanObject(body, skipSpace(body, body[0] === 0xef ? 3 : 0));
  if (options === undefined) return insertMember(body, whole, '"stream_options":{"include_usage":true}');
  // The last of several equal names is the one that counts.
  const member = whole.members.findLast((one) => one.name === 'stream_options');
  // Anything but an object is the provider's to refuse.
  if (!member || typeof options !== 'object' || Array.isArray(options)) return body;
  if (options === null) return replace(body, member.start, member.end, '{"include_usage":true}');
  const inner = scanObject(body, member.start);
  const asked = inner.members.findLast((one) => one.name === 'include_usage');
  return asked ? replace(body, asked.start, asked.end, 'true') : insertMember(body, inner, '"include_usage":true');
}

interface Member {
  name: string;
  /** Of the value: first byte, and the one after the last. */
  start: number;
  end: number;
}
interface Scanned {
  /** The byte after `{`. */
  inside: number;
  members: Member[];
}

function insertMember(body: Buffer, object: Scanned, text: string): Buffer {
  return replace(body, object.inside, object.inside, object.members.length > 0 ? `${text},` : text);
}

function replace(body: Buffer, start: number, end: number, text: string): Buffer {
  return Buffer.concat([body.subarray(0, start), Buffer.from(text), body.subarray(end)]);
}

const [quote, backslash, open, close, openList, closeList, comma, colon] = Buffer.from('"\\{}[],:') as unknown as number[];

/** The members of the object that begins at `at`. The text is known to be valid JSON, so only strings and nesting matter. */
function scanObject(body: Buffer, at: number): Scanned {
  const members: Member[] = [];
  const inside = at + 1;
  let i = skipSpace(body, inside);
  while (i < body.length && body[i] !== close) {
    const nameEnd = skipString(body, i);
    const name = String(JSON.parse(body.toString('utf8', i, nameEnd)));
    i = skipSpace(body, nameEnd);
    if (body[i] === colon) i = skipSpace(body, i + 1);
    const end = skipValue(body, i);
    members.push({ name, start: i, end });
    i = skipSpace(body, end);
    if (body[i] === comma) i = skipSpace(body, i + 1);
  }
  return { inside, members };
}

function skipSpace(body: Buffer, at: number): number {
  let i = at;
  while (i < body.length && (body[i] === 0x20 || body[i] === 0x0a || body[i] === 0x0d || body[i] === 0x09)) i++;
  return i;
}

function skipString(body: Buffer, at: number): number {
  let i = at + 1;
  while (i < body.length && body[i] !== quote) i += body[i] === backslash ? 2 : 1;
  return i + 1;
}

function skipValue(body: Buffer, at: number): number {
  let depth = 0;
  let i = at;
  while (i < body.length) {
    const byte = body[i];
    if (byte === quote) {
      i = skipString(body, i);
      if (depth === 0) return i;
      continue;
    }
    if (byte === open || byte === openList) depth++;
    else if (byte === close || byte === closeList) {
      if (depth === 0) return i;
      depth--;
      if (depth === 0) return i + 1;
    } else if (depth === 0 && (byte === comma || byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09)) return i;
    i++;
  }
  return i;
}

/**
 * Forms (multipart/form-data): what a client sent, read with bounds, and the platform's version of it, written anew from the fields
 * that its route allows. Reading copies no file: its pieces are parts of the body.
 */
import { randomBytes } from 'node:crypto';
import { MIMEType } from 'node:util';
import { Busboy } from '@fastify/busboy';
import { AppError, wrongField } from '@synthstack/core';
import { printable } from '../printable.ts';
import type { Route } from '../providers/provider.ts';
import { checkModel, type GateRules, notAllowed, type Priced } from './gate.ts';

export interface Form {
  fields: { name: string; value: string }[];
  files: { name: string; fileName: string; type: string; pieces: Buffer[] }[];
}

export interface GatedForm {
  body: Buffer;
  /** With the new boundary. */
  contentType: string;
}

const maxParts = 100;
/** The samples of known speakers' voices are fields: ten seconds of sound each, in base64. */
const maxFieldBytes = 4 * 1_048_576;
const malformed = "Send multipart/form-data, as OpenAI's SDKs and `curl -F` make it, with its boundary in content-type.";

/** @throws AppError `invalid_input`: it is no form, it is cut, or it has too many parts */
export async function readForm(body: Buffer, contentType: string | undefined): Promise<Form> {
  const boundary = boundaryOf(contentType);
  if (boundary === null) throw wrongField('body', malformed);
  // The library takes seconds, and memory without end, for millions of empty parts; to count them takes milliseconds.
  if (countUpTo(maxParts + 1, body, `--${boundary}`) > maxParts) throw wrongField('body', `A form may have at most ${maxParts - 1} parts.`);
  const form: Form = { fields: [], files: [] };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const parser = new Busboy({
    // Its own reading of the header might find another boundary than the one that was counted.
    headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` },
    limits: { fieldSize: maxFieldBytes, headerPairs: 20 },
  });
  parser.on('field', (name: string | undefined, value, _nameCut, isCut) => {
    if (isCut) reject(wrongField(name ?? 'body', `It is longer than ${maxFieldBytes} bytes.`));
    form.fields.push({ name: name ?? '', value });
  });
  parser.on('file', (name: string | undefined, stream, fileName: string | undefined, _encoding, type) => {
    const pieces: Buffer[] = [];
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.on('error', reject);
    form.files.push({ name: name ?? '', fileName: fileName ?? '', type, pieces });
  });
  parser.on('finish', resolve);
  parser.on('error', reject);
  parser.end(body);
  try {
    await promise;
  } catch (cause) {
    throw cause instanceof AppError ? cause : wrongField('body', malformed, cause);
  }
  return form;
}

/** null where it cannot be read: on the user's own key that is the provider's to say, on the platform's `gateForm` says it. */
export const readableForm = (body: Buffer, contentType: string | undefined): Promise<Form | null> =>
  readForm(body, contentType).catch(() => null);

/** A form's text fields as JSON would say them; of equal names the last. */
export function formJson({ fields }: Form): Record<string, unknown> {
  return Object.fromEntries(fields.map(({ name, value }) => [name, name === 'stream' ? value === 'true' : value]));
}

/**
 * What may go out on the platform's key, written anew: nothing that was not looked at goes up.
 * @param form  null: it could not be read
 * @throws AppError `model_not_allowed`, `field_not_allowed`, `invalid_input`
 */
export function gateForm(provider: Priced, route: Route, form: Form | null, rules: GateRules): GatedForm {
  if (!form) throw wrongField('body', malformed);
  const seen = new Set<string>();
  for (const { name } of [...form.fields, ...form.files]) {
    if (!isAllowed(name, route.formFields ?? [])) throw notAllowed(printable(name) || 'a part without a name');
    if (seen.has(name) && !name.endsWith('[]')) throw wrongField(name, 'Send it once.');
    seen.add(name);
  }
  const [file] = form.files;
  if (!file || form.files.length > 1 || file.name !== 'file')
    throw wrongField('file', 'Send one file, under this name, and all else as text.');
  checkModel(provider, form.fields.find(({ name }) => name === 'model')?.value, rules);
  return write({ fields: form.fields, files: [file] });
}

/** What was looked at under its name must not be there under another. */
const single: ReadonlySet<string> = new Set(['file', 'model']);

/** `include[]` and `chunking_strategy[type]` are parts of the fields `include` and `chunking_strategy`. */
function isAllowed(name: string, allowed: readonly string[]): boolean {
  const [, field, inner] = /^([a-z_]{1,64})(\[[a-z_]{0,64}\])?$/.exec(name) ?? [];
  return field !== undefined && allowed.includes(field) && (inner === undefined || !single.has(field));
}

/** @param form  its names are checked */
function write({ fields, files }: Form): GatedForm {
  const boundary = `byok-${randomBytes(16).toString('hex')}`;
  const parts: Buffer[] = [];
  const add = (...lines: string[]) => parts.push(Buffer.from(lines.join('\r\n')));
  for (const { name, value } of fields) add(`--${boundary}`, `content-disposition: form-data; name="${name}"`, '', value, '');
  for (const { name, fileName, type, pieces } of files) {
    const disposition = `content-disposition: form-data; name="${name}"; filename="${safeFileName(fileName)}"`;
    add(`--${boundary}`, disposition, `content-type: ${safeType(type)}`, '', '');
    parts.push(...pieces);
    add('', '');
  }
  add(`--${boundary}--`, '');
  return { body: Buffer.concat(parts), contentType: `multipart/form-data; boundary=${boundary}` };
}

/** The end of the name stays, by which the provider tells what kind of file it is; nothing that could end the quotes or the line does. */
const safeFileName = (name: string): string => name.replaceAll(/[\p{Cc}\p{Cs}"\\/]/gu, '_').slice(-200) || 'file';
/** The library says text/plain where the client said nothing. */
const safeType = (type: string): string =>
  /^[a-z]+\/[\w.+-]{1,100}$/.test(type) && type !== 'text/plain' ? type : 'application/octet-stream';

/** In the letters that RFC 2046 allows, which need no escaping. null: it is the content type of something else. */
function boundaryOf(contentType: string | undefined): string | null {
  try {
    const { essence, params } = new MIMEType(contentType ?? '');
    const boundary = params.get('boundary') ?? '';
    return essence === 'multipart/form-data' && /^[\w'()+,./:=? -]{1,200}$/.test(boundary) ? boundary : null;
  } catch {
    return null;
  }
}

function countUpTo(most: number, body: Buffer, text: string): number {
  let found = 0;
  for (let at = body.indexOf(text); at >= 0 && found < most; at = body.indexOf(text, at + text.length)) found += 1;
  return found;
}

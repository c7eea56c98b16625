import { AppError } from '@synthstack/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { providerOf } from '../providers/catalog.ts';
import { openai } from '../providers/openai.ts';
import type { Route } from '../providers/provider.ts';
import { type Form, formJson, gateForm, readForm } from './form.ts';
import type { GateRules } from './gate.ts';

const price: GateRules['price'] = (provider, model) => providerOf(provider).price(model);
const everything: GateRules = { models: null, price, maxOutput: 16_384 };
const route = openai.routes.find(({ body }) => body === 'multipart') as Route;
const type = 'multipart/form-data; boundary=b';
const part = (disposition: string, value: string, ...lines: string[]) =>
  ['--b', `Content-Disposition: form-data; ${disposition}`, ...lines, '', value, ''].join('\r\n');
const field = (name: string, value: string) => part(`name="${name}"`, value);
const sound = 'ID3\0\r\n--not-b\r\n\xff\xfb';
const file = part('name="file"; filename="speech.mp3"', sound, 'Content-Type: audio/mpeg');
const bodyOf = (...parts: string[]) => Buffer.from(`${parts.join('')}--b--\r\n`, 'latin1');
const model = field('model', 'gpt-4o-transcribe');
const read = (...parts: string[]) => readForm(bodyOf(...parts), type);

async function refusal(act: () => unknown): Promise<{ code: string; fields: string[]; message: string }> {
  try {
    await act();
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, fields: Object.keys(error.errors ?? {}), message: error.message };
    throw error;
  }
  return { code: 'none', fields: [], message: '' };
}

/** What a provider makes of a form, by Node's own reading, which is not the one under test. */
async function received({ body, contentType }: { body: Buffer; contentType: string }): Promise<[string, unknown][]> {
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
  return Promise.all(
    [...form].map(async ([name, value]): Promise<[string, unknown]> => {
      if (typeof value === 'string') return [name, value];
      return [name, { name: value.name, type: value.type, text: Buffer.from(await value.arrayBuffer()).toString('latin1') }];
    }),
  );
}

test('a form is read: its texts, and its file as pieces of the body, of which nothing is copied', async () => {
  const body = bodyOf(model, field('stream', 'true'), field('prompt', 'Gr\xc3\xbc\xc3\x9fe'), file);
  const form = await readForm(body, type);
  expect(form.fields).toEqual([
    { name: 'model', value: 'gpt-4o-transcribe' },
    { name: 'stream', value: 'true' },
    { name: 'prompt', value: 'Grüße' },
  ]);
  const [given] = form.files;
  expect(given).toMatchObject({ name: 'file', fileName: 'speech.mp3', type: 'audio/mpeg' });
  expect(Buffer.concat(given?.pieces ?? []).toString('latin1')).toBe(sound);
  expect(given?.pieces.every((piece) => piece.buffer === body.buffer)).toBe(true);
  expect(formJson(form)).toEqual({ model: 'gpt-4o-transcribe', stream: true, prompt: 'Grüße' });
});

test.each([
  [".NET's, without quotes around names", 'multipart/form-data; boundary="b"', 'name=model'],
  ['with a charset', 'multipart/form-data; charset=utf-8; boundary=b', 'name="model"'],
  ['in capitals', 'Multipart/Form-Data; Boundary=b', 'NAME="model"'],
])('forms as clients write them are read: %s', async (_, contentType, disposition) => {
  expect(formJson(await readForm(bodyOf(part(disposition, 'whisper-1')), contentType))).toEqual({ model: 'whisper-1' });
});

test.each([
  ['no content type', undefined, bodyOf(model)],
  ['JSON', 'application/json', Buffer.from('{}')],
  ['no boundary', 'multipart/form-data', bodyOf(model)],
  ['an empty boundary', 'multipart/form-data; boundary=""', bodyOf(model)],
  ['a boundary that needs escaping', 'multipart/form-data; boundary="a\\"b"', bodyOf(model)],
  ['another boundary than the body has', 'multipart/form-data; boundary=c', bodyOf(model)],
  ['nothing', type, Buffer.alloc(0)],
  ['cut in a field', type, bodyOf(model).subarray(0, 60)],
  ['cut in the file', type, bodyOf(model, file).subarray(0, -20)],
  ['without its end', type, Buffer.from(model)],
])('what is no form, or is cut, is refused with what to do about it: %s', async (_, contentType, body) => {
  const refused = await refusal(() => readForm(body, contentType));
  expect(refused).toMatchObject({ code: 'invalid_input', fields: ['body'] });
  expect(refused.message).toContain('curl -F');
});

test('a form has at most 99 parts, and one that would cost seconds to read is refused without reading it', async () => {
  expect((await read(...Array<string>(99).fill(model))).fields).toHaveLength(99);
  for (const piece of [model, '--b\r\n', '--b\r\n\r\n\r\n', '--b']) {
    const many = piece.repeat(Math.ceil(16_000_000 / piece.length));
    expect(await refusal(() => read(many))).toMatchObject({ code: 'invalid_input', fields: ['body'] });
  }
  // Each of these takes other readers seconds.
  for (const costly of [
    `--b\r\n${'x: y\r\n'.repeat(2_000_000)}${model}`,
    part(`name="model"${'; x=y'.repeat(3_000_000)}`, 'v'),
    part(`name="${'%22'.repeat(5_000_000)}"`, 'v'),
    part('name="file"; filename="f"', '\r\n-'.repeat(5_000_000)),
    field('prompt', '\r\n'.repeat(2_000_000)),
  ]) {
    await refusal(() => read(costly));
  }
});

test('a field longer than 4 MiB is refused', async () => {
  expect(await refusal(() => read(field('prompt', 'x'.repeat(4_194_305))))).toMatchObject({ code: 'invalid_input', fields: ['prompt'] });
});

test('whatever bytes come, reading ends, with a form or a refusal', async () => {
  const pieces = [
    '--b',
    '--b--',
    '\r\n',
    '\r',
    '\n',
    'Content-Disposition: form-data; name="a"',
    '; filename="f"',
    'x',
    ':',
    '\0',
    ';',
    '"',
    '--',
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 5 })), { maxLength: 40 }), async (list) => {
      expect(['none', 'invalid_input']).toContain((await refusal(() => readForm(Buffer.from(list.join('')), type))).code);
    }),
    { numRuns: 2_000, seed: 7 },
  );
});

test("the platform's form is written anew from the allowed fields, with a boundary of its own", async () => {
  const parts = [
    model,
    ...[
      field('language', 'de'),
      field('prompt', 'Gr\xc3\xbc\xc3\x9fe\r\n--b'),
      field('response_format', 'json'),
      field('temperature', '0'),
    ],
    ...[field('timestamp_granularities[]', 'word'), field('timestamp_granularities[]', 'segment'), field('include[]', 'logprobs')],
    ...[field('stream', 'true'), field('chunking_strategy[type]', 'server_vad'), field('known_speaker_names[]', 'Ada'), file],
  ];
  const form = await read(...parts);
  const gated = gateForm(openai, route, form, everything);
  const { contentType } = gateForm(openai, route, form, everything);
  expect(gated.contentType).toMatch(/^multipart\/form-data; boundary=byok-[0-9a-f]{32}$/);
  expect(gated.contentType).not.toBe(contentType);
  expect(await received(gated)).toEqual([
    ...form.fields.map(({ name, value }) => [name, value]),
    ['file', { name: 'speech.mp3', type: 'audio/mpeg', text: sound }],
  ]);
});

test.each([
  ['model', 'invalid_input', [file]],
  ['file', 'invalid_input', [model]],
  ['file', 'invalid_input', [model, field('file', 'not a file')]],
  ['file', 'invalid_input', [part('name="model"; filename="m"', 'gpt-4o-transcribe'), file]],
  ['file', 'invalid_input', [file, part('name="model"; filename="m"', 'gpt-4o-transcribe')]],
  ['file', 'invalid_input', [file.replace('name="file"', 'name="prompt"'), model]],
  ['file', 'invalid_input', [model, file, file]],
  ['model', 'invalid_input', [model, field('model', 'whisper-1'), file]],
  ['chunking_strategy[type]', 'invalid_input', [model, field('chunking_strategy[type]', 'a'), field('chunking_strategy[type]', 'b'), file]],
  ['file_id', 'field_not_allowed', [model, field('file_id', 'file-1'), file]],
  ['user', 'field_not_allowed', [model, field('user', 'x'), file]],
  ['file[]', 'field_not_allowed', [model, file.replace('name="file"', 'name="file[]"')]],
  ['model[x][y]', 'field_not_allowed', [model, field('model[x][y]', 'x'), file]],
  ['__proto__', 'field_not_allowed', [model, field('__proto__', 'x'), file]],
  ['Model', 'field_not_allowed', [field('Model', 'x'), file]],
  ['image', 'field_not_allowed', [model, file, part('name="image"; filename="x"', 'x')]],
  ['a?part?without?a?name', 'field_not_allowed', [model, part('x="y"', 'x'), file]],
])('%s: %s', async (name, code, parts) => {
  const form = await read(...parts);
  const refused = await refusal(() => gateForm(openai, route, form, everything));
  expect(refused).toMatchObject({ code, fields: [name.replaceAll('?', ' ')] });
});

test('a model is one with a known price, or of the list', async () => {
  const codeOf = async (name: string, rules: GateRules) => {
    const form = await read(field('model', name), file);
    return (await refusal(() => gateForm(openai, route, form, rules))).code;
  };
  expect(await codeOf('gpt-4o-mini-transcribe', everything)).toBe('none');
  expect(await codeOf('whisper-1', everything)).toBe('model_not_allowed');
  expect(await codeOf('whisper-1', { ...everything, models: ['whisper-1'] })).toBe('none');
  expect(await codeOf('gpt-4o-transcribe', { ...everything, models: ['whisper-1'] })).toBe('model_not_allowed');
});

test('a form that could not be read does not go out', async () => {
  expect(await refusal(() => gateForm(openai, route, null, everything))).toMatchObject({ code: 'invalid_input', fields: ['body'] });
});

test.each([
  ['speech.mp3', 'speech.mp3'],
  ['Grüße.mp3', 'Grüße.mp3'],
  ['../../etc/passwd.mp3', '.._.._etc_passwd.mp3'],
  ['a"; filename="b.mp3', 'a__ filename=_b.mp3'.replace('__', '_;')],
  ['a\r\nContent-Type: text/html\r\n\r\n<b>.mp3', 'a__Content-Type: text_html____<b>.mp3'],
  ['a\\', 'a_'],
  ['\ud800.mp3', '_.mp3'],
  [`${'x'.repeat(5_000)}.mp3`, `${'x'.repeat(196)}.mp3`],
  ['', 'file'],
])('a file name ends neither its quotes nor its line: %j', async (given, expected) => {
  const form: Form = {
    fields: [{ name: 'model', value: 'gpt-4o-transcribe' }],
    files: [{ name: 'file', fileName: given, type: 'audio/mpeg\r\nx: y', pieces: [Buffer.from('sound')] }],
  };
  const gated = gateForm(openai, route, form, everything);
  expect(await received(gated)).toEqual([
    ['model', 'gpt-4o-transcribe'],
    ['file', { name: expected, type: 'application/octet-stream', text: 'sound' }],
  ]);
});

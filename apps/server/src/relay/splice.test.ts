import fc from 'fast-check';
import { expect, test } from 'vitest';
import { askForUsage } from './splice.ts';

const asked = (text: string): string => askForUsage(Buffer.from(text), JSON.parse(text.replace(/^\ufeff/, ''))).toString();

test.each([
  ['nothing there', '{"model":"m","stream":true}', '{"stream_options":{"include_usage":true},"model":"m","stream":true}'],
  ['an empty object', '{ }', '{"stream_options":{"include_usage":true} }'],
  ['null', '{"stream_options": null ,"a":1}', '{"stream_options": {"include_usage":true} ,"a":1}'],
  ['empty options', '{"stream_options":{ }}', '{"stream_options":{"include_usage":true }}'],
  [
    'other options',
    '{"stream_options":{"include_obfuscation":false}}',
    '{"stream_options":{"include_usage":true,"include_obfuscation":false}}',
  ],
  ['false', '{"stream_options":{"include_usage" : false}}', '{"stream_options":{"include_usage" : true}}'],
  [
    'false in a strange dress',
    '{"stream_options":{"include_usage":[{"a":"]}"}],"b":2}}',
    '{"stream_options":{"include_usage":true,"b":2}}',
  ],
  [
    'duplicate options: the last counts',
    '{"stream_options":{},"stream_options":{"x":1}}',
    '{"stream_options":{},"stream_options":{"include_usage":true,"x":1}}',
  ],
  [
    'duplicates inside: the last counts',
    '{"stream_options":{"include_usage":true,"include_usage":false}}',
    '{"stream_options":{"include_usage":true,"include_usage":true}}',
  ],
  [
    'duplicate options: the last is null',
    '{"stream_options":{"include_usage":true},"stream_options":null}',
    '{"stream_options":{"include_usage":true},"stream_options":{"include_usage":true}}',
  ],
  ['escaped names', '{"stream\\u005foptions":{"include\\u005fusage":false}}', '{"stream\\u005foptions":{"include\\u005fusage":true}}'],
  ['a byte order mark and white space', '\ufeff \r\n\t{"a":1}', '\ufeff \r\n\t{"stream_options":{"include_usage":true},"a":1}'],
  [
    'a name that lies in a text',
    '{"messages":"\\"stream_options\\":{}"}',
    '{"stream_options":{"include_usage":true},"messages":"\\"stream_options\\":{}"}',
  ],
  [
    'large integers and odd numbers',
    '{"seed":12345678901234567890,"t":1.0e-0}',
    '{"stream_options":{"include_usage":true},"seed":12345678901234567890,"t":1.0e-0}',
  ],
  ['a text', '{"stream_options":"x"}', '{"stream_options":"x"}'],
  ['a number', '{"stream_options":1}', '{"stream_options":1}'],
  ['a list', '{"stream_options":[1,{"include_usage":false}]}', '{"stream_options":[1,{"include_usage":false}]}'],
  ['an empty list', '{"stream_options":[]}', '{"stream_options":[]}'],
])('%s', (_, before, after) => {
  expect(asked(before)).toBe(after);
});

/** JSON as somebody else's program may write it: white space anywhere, letters escaped at will. */
const json: fc.Arbitrary<string> = fc.letrec<{ value: string; object: string }>((tie) => {
  const space = fc.constantFrom('', '', ' ', '\n', '\r\n\t');
  const text = fc.string({ unit: 'binary', maxLength: 12 }).map((value) => JSON.stringify(value));
  const number = fc.oneof(fc.bigInt().map(String), fc.constantFrom('-0', '1e5', '0.10', '1E-7'));
  const member = fc.tuple(space, fc.oneof(text, fc.constantFrom('"include_usage"', '"stream"')), space, space, tie('value'), space);
  const list = fc
    .array(fc.tuple(space, tie('value'), space), { maxLength: 3 })
    .map((items) => `[${items.map((item) => item.join('')).join(',')}]`);
  return {
    object: fc
      .array(member, { maxLength: 4 })
      .map((members) => `{${members.map(([a, name, b, c, value, d]) => `${a}${name}${b}:${c}${value}${d}`).join(',')}}`),
    value: fc.oneof({ maxDepth: 3 }, text, number, fc.constantFrom('true', 'false', 'null'), list, tie('object')),
  };
}).object;

const additions = ['"stream_options":{"include_usage":true}', '"include_usage":true'].flatMap((text) => [text, `${text},`]);

/** `after` is `before` with one of the additions somewhere in it, and nothing else. */
function isInsertion(before: string, after: string): boolean {
  return additions.some((text) => {
    for (let at = after.indexOf(text); at >= 0; at = after.indexOf(text, at + 1))
      if (after.slice(0, at) + after.slice(at + text.length) === before) return true;
    return false;
  });
}

/** `after` is `before` with one value in it replaced by what was asked for. */
function isReplacement(before: string, after: string): boolean {
  return ['true', '{"include_usage":true}'].some((text) => {
    for (let at = after.indexOf(text); at >= 0; at = after.indexOf(text, at + 1)) {
      const tail = after.slice(at + text.length);
      if (before.startsWith(after.slice(0, at)) && before.endsWith(tail) && before.length >= at + tail.length) return true;
    }
    return false;
  });
}

test('of any body, exactly include_usage becomes true and nothing else changes', () => {
  const options = fc.option(fc.oneof(json, fc.constant('null')), { nil: undefined });
  fc.assert(
    fc.property(json, options, fc.nat(), (body, given, place) => {
      const withOptions = given === undefined ? body : insert(body, `"stream_options":${given}`, place);
      const parsed = JSON.parse(withOptions) as Record<string, unknown>;
      if (Array.isArray(parsed.stream_options)) return;
      const after = askForUsage(Buffer.from(withOptions), parsed).toString();
      const result = JSON.parse(after) as Record<string, unknown>;
      expect(result.stream_options).toMatchObject({ include_usage: true });
      const { include_usage: _, ...others } = result.stream_options as Record<string, unknown>;
      const { include_usage: __, ...before } = (parsed.stream_options ?? {}) as Record<string, unknown>;
      expect(others).toEqual(before);
      expect({ ...result, stream_options: 0 }).toEqual({ ...parsed, stream_options: 0 });
      const hadNone = given === undefined || (given !== 'null' && !given.includes('include'));
      expect(isInsertion(withOptions, after) || (!hadNone && isReplacement(withOptions, after))).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

/** Puts a member first or last into an object's text. */
function insert(body: string, member: string, place: number): string {
  const isEmpty = body.slice(1, -1).trim() === '';
  if (isEmpty) return `{${member}}`;
  return place % 2 === 0 ? `{${member},${body.slice(1)}` : `${body.slice(0, -1)},${member}}`;
}

test('invalid UTF-8 elsewhere in the body is not touched', () => {
  const body = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xc3, 0x28]), Buffer.from('"}')]);
  const after = askForUsage(body, { a: 'whatever' });
  expect(after.subarray(-body.length + 1)).toEqual(body.subarray(1));
});

import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { expect, test } from 'vitest';
import { Secret } from './secret.ts';

const text = 'sk-planted-Zq81vNf4Rm0Tt7wYabc1';
const secret = new Secret(text);

/** True if any 8 characters of the planted text in a row can be read in `output`; the hint shows four. */
const leaks = (output: string): boolean =>
  Array.from({ length: text.length - 7 }, (_, i) => text.slice(i, i + 8)).some((window) => output.includes(window));

/** What a console with these arguments writes. */
function consoleOutput(write: (to: Console) => void): string {
  let written = '';
  const sink = new Writable({
    write(chunk, _encoding, done) {
      written += chunk;
      done();
    },
  });
  write(new Console({ stdout: sink, stderr: sink }));
  return written;
}

const nested = {
  user: 'ada',
  keys: [{ deep: { deeper: { deepest: secret } } }],
  byName: new Map([['openai', secret]]),
  all: new Set([secret]),
};

const printings: [string, () => string][] = [
  ['String()', () => String(secret)],
  ['toString()', () => secret.toString()],
  ['a template', () => `${secret}`],
  ['adding to a text', () => `${[secret, secret]}`],
  ['joining a list', () => [secret, secret].join()],
  ['JSON', () => JSON.stringify(secret)],
  ['JSON, nested', () => JSON.stringify(nested)],
  ['JSON with a replacer', () => JSON.stringify(nested, (_, value) => value)],
  ['inspect', () => inspect(secret)],
  ['inspect, nested', () => inspect(nested, { depth: Number.POSITIVE_INFINITY })],
  ['inspect with hidden properties', () => inspect(nested, { depth: null, showHidden: true, getters: true })],
  ['inspect without custom forms', () => inspect(nested, { depth: null, showHidden: true, getters: true, customInspect: false })],
  ['inspect of a proxy', () => inspect(new Proxy(secret, {}), { showProxy: true })],
  ...['%s', '%j', '%o', '%O', '%d', '%i', '%f', 'no place'].map((place): [string, () => string] => [
    `format ${place}`,
    () => format(place, secret) + format(place, nested),
  ]),
  ['console.log', () => consoleOutput((to) => to.log('key', secret, nested))],
  ['console.dir', () => consoleOutput((to) => to.dir(nested, { depth: null, showHidden: true }))],
  ['console.table', () => consoleOutput((to) => to.table([{ secret }]))],
  ['an error with it as cause', () => inspect(new Error(`failed for ${secret}`, { cause: secret }))],
  ['an error that carries it', () => inspect(Object.assign(new Error('failed'), { secret }))],
  ['structuredClone', () => inspect(structuredClone(secret), { showHidden: true }) + JSON.stringify(structuredClone(nested.keys))],
  ['a message to a thread', () => inspect(deserialize(serialize(secret)), { showHidden: true }) + serialize(nested).toString('latin1')],
  ['spread', () => JSON.stringify({ ...secret })],
  ['Object.entries', () => JSON.stringify(Object.entries(secret))],
  ['own property names and symbols', () => Reflect.ownKeys(secret).map(String).join()],
  ['Object.assign', () => inspect(Object.assign({}, secret))],
  ['a query', () => new URLSearchParams({ key: `${secret}` }).toString()],
  ['Buffer.from', () => Buffer.from(secret as unknown as string).toString()],
  ['hint', () => secret.hint],
];

test.each(printings)('%s does not show the text', (_name, print) => {
  expect(leaks(print())).toBe(false);
});

test('the search for the text finds it where it is', () => {
  expect(leaks(JSON.stringify({ ...secret, text }))).toBe(true);
  expect(leaks(consoleOutput((to) => to.log(text)))).toBe(true);
  expect(leaks(serialize({ text }).toString('latin1'))).toBe(true);
});

test('printing says that there is a secret', () => {
  expect(`${secret}`).toBe('[secret]');
  expect(JSON.stringify({ secret })).toBe('{"secret":"[secret]"}');
  expect(inspect({ secret })).toBe('{ secret: [secret] }');
});

test('expose gives the text, and nothing can change it', () => {
  expect(secret.expose()).toBe(text);
  Object.assign(secret, { text: 'other' });
  expect(secret.expose()).toBe(text);
});

test('the hint is the last four characters', () => {
  expect(secret.hint).toBe('****...abc1');
  expect(new Secret('0123456789abcdef').hint).toBe('****...cdef');
});

test('a text shorter than any key gives no characters away', () => {
  expect(new Secret('0123456789abcde').hint).toBe('****...');
  expect(new Secret('').hint).toBe('****...');
});

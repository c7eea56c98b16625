import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { sendParts } from './stream.ts';

/** A reader who takes each part before the next is written to it. */
function slowReader(taken: (part: string, reader: Writable) => void): Writable {
  const reader = new Writable({
    highWaterMark: 1,
    write(part, _encoding, done) {
      taken(String(part), reader);
      setImmediate(done);
    },
  });
  return reader;
}

async function* counted(most: number, made: number[]): AsyncGenerator<string> {
  for (let i = 0; i < most; i += 1) {
    made.push(i);
    yield `${i} `;
  }
}

test('parts are made as fast as they are taken, and waiting leaves nothing behind', async () => {
  const made: number[] = [];
  let [text, most] = ['', 0];
  const reader = slowReader((part) => {
    text += part;
    most = Math.max(most, reader.listenerCount('close') + reader.listenerCount('drain'));
    expect(part).toBe(`${made.length - 1} `);
  });
  const before = reader.listenerCount('close');
  await sendParts(reader, counted(100, made));
  expect(text).toMatch(/^0 1 .* 99 $/);
  expect(reader.writableEnded).toBe(true);
  expect(reader.listenerCount('close') + reader.listenerCount('drain')).toBe(before);
  expect(most).toBeLessThanOrEqual(before + 2);
});

test('whoever leaves amid it gets no more parts made', async () => {
  const made: number[] = [];
  const reader = slowReader((part) => void (part === '3 ' && reader.destroy()));
  await sendParts(reader, counted(100, made));
  expect(made.length).toBeLessThanOrEqual(5);
});

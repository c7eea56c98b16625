import type { AnswerEvent } from '@synthstack/core';
import { expect, test } from 'vitest';
import { cpuMs } from '../test/cpu.ts';
import { createTranscript, type Numbered } from './agents-transcript.ts';

const start = { type: 'handover', agent: 'stands_for_a_start' } satisfies AnswerEvent;
const done = { type: 'done', stopped: false, cut: false } satisfies AnswerEvent;
const ever = () => new AbortController().signal;

async function all(told: AsyncIterable<Numbered>): Promise<Numbered[]> {
  const list: Numbered[] = [];
  for await (const one of told) list.push(one);
  return list;
}
const textOf = (told: readonly Numbered[]) => told.map(({ event }) => (event.type === 'delta' ? event.text : '')).join('');

test('whoever listens from any place gets exactly the rest, while it is said and after it', async () => {
  const transcript = createTranscript();
  const pieces = ['one ', 'two', '', ' three', ' 🎉 four'];
  const text = pieces.join('');
  const early = Array.from({ length: text.length + 4 }, (_, at) => all(transcript.follow(at, ever())));
  transcript.begin(start);
  for (const piece of pieces) {
    transcript.say(piece);
    await Promise.resolve();
  }
  expect([transcript.text, transcript.length]).toEqual([text, text.length]);
  transcript.say('!');
  transcript.close(done);
  const late = Array.from({ length: text.length + 4 }, (_, at) => all(transcript.follow(at, ever())));
  for (const [at, told] of [...(await Promise.all(early)).entries(), ...(await Promise.all(late)).entries()]) {
    expect(textOf(told)).toBe(`${text}!`.slice(Math.max(0, at - 1)));
    expect(told.some(({ event }) => event === start)).toBe(at === 0);
    expect(told.at(-1)?.event).toBe(at === text.length + 3 ? undefined : done);
  }
});

test('a slow listener gets what it missed in one piece, and a signal ends its waiting', async () => {
  const transcript = createTranscript();
  const leaving = new AbortController();
  const told = transcript.follow(0, leaving.signal);
  transcript.begin(start);
  expect((await told.next()).value?.at).toBe(1);
  for (let i = 0; i < 1_000; i += 1) transcript.say('ab');
  expect((await told.next()).value).toMatchObject({ at: 2_001, event: { type: 'delta', text: 'ab'.repeat(1_000) } });
  const waiting = told.next();
  leaving.abort();
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test('a long answer is told piece by piece without being put together anew each time', async () => {
  const transcript = createTranscript();
  transcript.begin(start);
  const told = transcript.follow(1, ever());
  const before = cpuMs();
  for (let i = 0; i < 100_000; i += 1) {
    transcript.say('abcd');
    await told.next();
  }
  expect(transcript.length).toBe(400_000);
  expect(cpuMs() - before).toBeLessThan(5_000);
});

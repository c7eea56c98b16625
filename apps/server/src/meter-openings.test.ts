import type { List, Ticket } from '@synthstack/core/db';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { createOpenings } from './meter-openings.ts';

const textOf = (one: List[number] | undefined): string => (one && 'sql' in one ? one.sql : '');

/** A group commit whose lists leave and land when the test says so. */
function stage(holdMs = 20) {
  const clock = manualClock(0);
  const sent: { text: string; left: boolean; land(): void; fail(): void }[] = [];
  let landed = 0;
  const openings = createOpenings({
    clock,
    holdMs,
    landed: () => {
      landed += 1;
    },
    db: {
      enqueue([statement]): Ticket {
        const { promise, resolve, reject } = Promise.withResolvers<[]>();
        const one = { text: textOf(statement), left: false, land: () => resolve([]), fail: () => reject(new Error('disk')) };
        sent.push(one);
        return {
          landed: promise,
          replace([other]) {
            if (!one.left) one.text = textOf(other);
            return !one.left;
          },
        };
      },
    },
  });
  const list = (sql: string) => () => [{ sql, params: [] }];
  return {
    clock,
    sent,
    texts: () => sent.map(({ text }) => text),
    landedTimes: () => landed,
    begin: (id: number) => openings.begin(id, list(`open ${id}`)),
    close: (id: number) => openings.closeUnsent(id, list(`both ${id}`)),
  };
}

test('an opened row leaves by itself, not before its time and not after twice of it', async () => {
  const s = stage();
  s.begin(1);
  s.clock.advance(19);
  s.begin(2);
  s.clock.advance(1);
  expect(s.texts()).toEqual([]);
  s.clock.advance(20);
  expect(s.texts()).toEqual(['open 1', 'open 2']);
  // What is on its way does not leave again.
  s.clock.advance(1_000);
  expect(s.texts()).toHaveLength(2);
});

test('whoever waits for a row sends it at once, and hears when it has landed or failed', async () => {
  const s = stage();
  const [one, two] = [s.begin(1), s.begin(2)];
  const outcomes: string[] = [];
  const [first, second] = [one.onDisk(), two.onDisk()];
  void first.then(() => outcomes.push('landed'));
  second.catch((error: Error) => outcomes.push(error.message));
  expect(s.texts()).toEqual(['open 1', 'open 2']);
  s.sent[0]?.land();
  s.sent[1]?.fail();
  await Promise.allSettled([first, second]);
  expect([outcomes, s.landedTimes()]).toEqual([['landed', 'disk'], 1]);
  await expect(two.onDisk()).rejects.toThrow('disk');
  expect(s.texts()).toHaveLength(2);
});

test('a row that is closed before it leaves is written once, and whoever waits for it waits for that', async () => {
  const s = stage();
  const recording = s.begin(1);
  const closed = s.close(1);
  const opened = recording.onDisk();
  s.clock.advance(100);
  expect(s.texts()).toEqual(['both 1']);
  s.sent[0]?.land();
  await Promise.all([closed, opened]);
});

test('a row that waits for the batch before it is closed in its place; one that has left is not', async () => {
  const s = stage();
  const first = s.begin(1).onDisk();
  const second = s.begin(2).onDisk();
  (s.sent[1] as { left: boolean }).left = true;
  expect(s.close(1)).not.toBeNull();
  expect(s.close(2)).toBeNull();
  expect(s.texts()).toEqual(['both 1', 'open 2']);
  for (const one of s.sent) one.land();
  await Promise.all([first, second]);
  expect([s.close(1), s.close(2)]).toEqual([null, null]);
});

test('without holding, a row leaves at once', () => {
  const s = stage(0);
  s.begin(1);
  expect(s.texts()).toEqual(['open 1']);
});

test('of a thousand rows that come and go, none is forgotten and none is written twice', async () => {
  const s = stage();
  for (let id = 0; id < 1_000; id += 1) {
    s.begin(id);
    if (id % 3 === 0) void s.close(id);
    if (id % 7 === 0) s.clock.advance(1);
  }
  s.clock.advance(100);
  const ids = s.texts().map((text) => Number(text.split(' ')[1]));
  expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 1_000 }, (_, id) => id));
  expect(s.texts().filter((text) => text.startsWith('both'))).toHaveLength(334);
});

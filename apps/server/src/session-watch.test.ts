import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { manualClock } from '../test/clock.ts';
import { createSessionWatch } from './session-watch.ts';

function stage() {
  const clock = manualClock(Date.UTC(2026, 5, 1));
  const good = new Map<string, string>();
  const [asked, ended]: [string[], string[]] = [[], []];
  const on = { isDown: false };
  const watch = createSessionWatch({
    clock,
    async session(id) {
      asked.push(id);
      if (on.isDown) throw new Error('The database is gone.');
      const userId = good.get(id);
      return userId === undefined ? null : { userId };
    },
  });

  function open(userId: string, sessionId: string, name: string): () => void {
    good.set(sessionId, userId);
    const unwatch = watch({ userId, sessionId }, () => {
      ended.push(name);
      unwatch();
    });
    return unwatch;
  }

  async function advance(ms: number): Promise<void> {
    clock.advance(ms);
    for (let i = 0; i < 20; i += 1) await turn();
  }
  return { on, good, asked, ended, open, advance };
}

test('all that listens for a session ends with it, within half a minute, and nothing else does', async () => {
  const { good, ended, open, advance } = stage();
  open('ada', 'laptop', 'usage');
  open('ada', 'laptop', 'answer');
  open('ada', 'phone', 'usage on the phone');
  await advance(30_000);
  expect(ended).toEqual([]);
  good.delete('laptop');
  await advance(30_000);
  expect(ended).toEqual(['usage', 'answer']);
});

test('a session is looked up once for all who listen for it, and no longer once they have left', async () => {
  const { asked, open, advance } = stage();
  const leaving = [open('ada', 'laptop', 'usage'), open('ada', 'laptop', 'answer')];
  await advance(30_000);
  expect(asked).toEqual(['laptop']);
  for (const leave of leaving) leave();
  await advance(30_000);
  await advance(30_000);
  expect(asked).toEqual(['laptop']);
  open('ada', 'laptop', 'usage');
  await advance(30_000);
  expect(asked).toHaveLength(2);
});

test('nobody is sent away while the database cannot be asked', async () => {
  const { on, good, ended, open, advance } = stage();
  open('ada', 'laptop', 'usage');
  good.clear();
  on.isDown = true;
  await advance(30_000);
  expect(ended).toEqual([]);
  on.isDown = false;
  await advance(30_000);
  expect(ended).toEqual(['usage']);
});

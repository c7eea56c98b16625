import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';

test('a client that takes nothing of its answer is let go after the idle time, and with it the provider', async () => {
  await using app = await testApp();
  const ada = await app.person({ keys: { openai: 'endless' } });
  const body = JSON.stringify({ model: 'gpt-4o-mini', stream: true, messages: [{ role: 'user', content: 'Go on' }] });
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1').on('error', () => undefined);
  socket.pause();
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: byok.test\r\nauthorization: Bearer ${ada.token}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  const upstream = await app.provider.received(app.provider.requests.length + 1);
  let settled = '';
  void upstream.settled.then((how) => {
    settled = how;
  });
  // First the buffers of the system fill; from then on nothing moves but the clock.
  for (let chunks = -1; chunks !== upstream.chunks; await wait(100)) chunks = upstream.chunks;
  app.clock.advance(599_000);
  await wait(20);
  expect(settled).toBe('');
  app.clock.advance(2_000);
  expect(await upstream.settled).toBe('aborted');
  await expect.poll(async () => (await app.requests())[0]).toMatchObject({ state: 'failed', errorCode: 'client_closed', estimated: true });
  socket.destroy();
});

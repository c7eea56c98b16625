/** A server that is killed while agents answer, as a process of its own. */
import { setTimeout as wait } from 'node:timers/promises';
import type { ConversationView } from '@synthstack/core';
import { expect, test } from 'vitest';
import { eventsOf } from '../test/chat.ts';
import { freePort, freshSecrets, place } from '../test/process.ts';
import { startProvider } from '../test/provider.ts';

const platformKey = 'sk-proj-0123456789abcdefghijklmnop';

test('an answer that was cut by a kill is there after the next start as far as it was written, and says that it was interrupted', async () => {
  await using provider = await startProvider({
    openai: { keys: { [platformKey]: { fault: 'stall', text: 'Half of it, no more.', afterChunks: 4 } } },
  });
  const port = await freePort();
  await using here = await place({
    ...freshSecrets(),
    ...{ PORT: String(port), DATA_DIR: 'data', OPENAI_BASE_URL: provider.openaiUrl, PLATFORM_OPENAI_API_KEY: platformKey },
  });
  await here.run(['users', 'add', '--email', 'ada@example.com', '--tier', 'premium', '--password-stdin'], {
    input: 'correct horse battery\n',
  });
  const { out } = await here.run(['tokens', 'add', '--email', 'ada@example.com', '--name', 'test', '--scope', 'manage']);
  const headers = { authorization: `Bearer ${out.trim()}`, 'content-type': 'application/json' };
  const url = `http://127.0.0.1:${port}/api/v1`;

  const first = here.start(['serve']);
  await first.says(/is at/);
  const answer = await fetch(`${url}/agents/general/messages`, { method: 'POST', headers, body: JSON.stringify({ content: 'hello' }) });
  const events = eventsOf(answer);
  const start = JSON.parse((await events.next()).value?.data ?? '') as { conversationId: string };
  const said = JSON.parse((await events.next()).value?.data ?? '') as { text: string };
  const show = async () => (await (await fetch(`${url}/conversations/${start.conversationId}`, { headers })).json()) as ConversationView;
  // It is written every two seconds.
  while (!(await show()).messages[1]?.content) await wait(50);
  expect((await show()).answerId).toBe((await show()).messages[1]?.id);
  await first.stop('SIGKILL');

  const second = here.start(['serve']);
  await second.says(/is at/);
  const kept = await show();
  expect(kept).toMatchObject({ answerId: null, messages: [{ content: 'hello' }, { state: 'failed', error: { code: 'interrupted' } }] });
  expect(kept.messages[1]?.content.startsWith(said.text)).toBe(true);
  await second.stop();
}, 60_000);

/** What happens in the middle of a conversation: keys that are revoked, limits, servers and connections that break. */
import { beforeAll, expect, test } from 'vitest';
import { answered, answers, ask, button, type ChatStage, inference, keptIn, openChatStage, said } from './chat.ts';
import { english, lookAt } from './look.ts';
import { newKey, openLine, openStage, until } from './stage.ts';

let chat: ChatStage;
beforeAll(async () => {
  chat = await openChatStage();
  return () => chat.stage[Symbol.asyncDispose]();
});

test('a key that is revoked in the middle of a conversation: the platform’s answers, and why is said', async () => {
  const { page, key, complaints } = await chat.owner();
  await page.goto('/agents/developer');
  chat.answerWith('On your key.');
  await ask(page, 'One');
  await answers(page).getByRole('button', { name: 'Your key' }).waitFor();
  chat.stage.provider.key(key, 'invalid_api_key');
  await ask(page, 'Two');
  await answers(page).last().getByRole('button', { name: 'Platform’s key' }).click();
  await answers(page).last().getByText('OpenAI has just refused yours').waitFor();
  await page.getByText('OpenAI does not accept yours.').waitFor();
  await page.getByText(/left (this minute|today)/).waitFor();
  expect(complaints()).toEqual([]);
});

test('a key that is revoked where the platform has none: the question stays, and is answered once the key is mended', async () => {
  const { page, call, complaints } = await chat.stage.user('premium', { reducedMotion: 'reduce' });
  const key = newKey('anthropic');
  chat.stage.provider.key(key, 'good');
  const { key: stored } = (await call('keys.save', { provider: 'anthropic', apiKey: key })) as { key: { id: string } };
  await page.goto('/agents/developer');
  chat.answerWith('All is well.');
  await ask(page, 'One');
  await answered(page, 'All is well.');
  chat.stage.provider.key(key, 'authentication_error');
  await ask(page, 'Two');
  await page.getByRole('alert').filter({ hasText: 'Anthropic' }).waitFor();
  await page.getByText('There is no Anthropic key that could be used.').waitFor();
  chat.stage.provider.key(key, 'good');
  await call('keys.test', { id: stored.id });
  chat.answerWith('Again well.');
  await button(page, 'Try again').click();
  await answered(page, 'Again well.');
  expect(await page.locator('.said').allTextContents()).toEqual([expect.stringContaining('One'), expect.stringContaining('Two')]);
  expect(complaints()).toEqual([]);
});

test('a limit that is reached in the middle of a conversation is said with when it goes on', async () => {
  const { page, call, complaints } = await chat.stage.user('community', { reducedMotion: 'reduce' });
  const { secret } = (await call('tokens.create', { name: 'elsewhere' })) as { secret: string };
  for (let n = 0; n < 9; n += 1) {
    const answer = await fetch(`${chat.stage.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4.1-mini', messages: [{ role: 'user', content: 'x' }] }),
    });
    await answer.text();
  }
  await page.goto('/agents/general');
  await page.getByText('1 of 10 left this minute').waitFor();
  chat.answerWith('The last one.');
  await ask(page, 'One', 'General Assistant');
  await answered(page, 'The last one.');
  await page.getByText(/^Your limit is reached\. Next place free in \d+ seconds?\.$/).waitFor();
  await ask(page, 'Two', 'General Assistant');
  await page.getByRole('alert').filter({ hasText: '10 requests a minute' }).waitFor();
  await button(page, 'Try again').waitFor();
  expect(await answers(page).first().textContent()).toContain('The last one.');
  await lookAt(page, 'chat-limit');
  await english(page);
  await page.goto('/agents');
  await page.getByText('With Premium or Lifetime you have all six').waitFor();
  expect(await page.getByText('Premium and Lifetime', { exact: true }).count()).toBe(5);
  await page.goto('/agents/designer');
  await page.getByText('Designer is part of Premium and Lifetime.').waitFor();
  await page.getByRole('link', { name: 'See the plans' }).waitFor();
  expect(await page.getByRole('textbox', { name: /^Message/ }).count()).toBe(0);
  expect(complaints()).toEqual([]);
});

test('a server that is restarted in the middle of an answer: what was said stays, and trying again works', async () => {
  const { page, complaints } = await chat.regular();
  await page.goto('/agents/developer');
  chat.answerWith('So far so good, and then it goes on.', { chunks: 9 });
  const standing = chat.gate(5);
  await ask(page, 'Tell me');
  await standing.reached;
  await until(async () => (await said(page)).startsWith('So far'));
  const before = await said(page);
  // What was said is written every two seconds.
  await until(async () => (await keptIn(page)).some(({ role, content }) => role === 'assistant' && content !== ''));
  await chat.stage.restart(async () => void (await page.getByText('The connection broke. Reconnecting').waitFor()));
  await page.getByRole('alert').filter({ hasText: 'The server was restarted while it answered.' }).waitFor();
  expect(await said(page)).toBe(before);
  await page.reload();
  await page.getByRole('alert').filter({ hasText: 'The server was restarted while it answered.' }).waitFor();
  expect((await said(page)).length).toBeGreaterThan(3);
  expect(before).toContain(await said(page));
  chat.answerWith('Whole this time.');
  await button(page, 'Try again').click();
  await answered(page, 'Whole this time.');
  expect(await answers(page).count()).toBe(1);
  expect(complaints(/ERR_|status of (404|502)|Failed to (load|fetch)/)).toEqual([]);
});

test('an answer goes on where it was when the connection had dropped', async () => {
  await using line = await openLine();
  await using other = await openStage({}, line);
  const { page, call, complaints } = await other.user('premium');
  const key = newKey('openai');
  other.provider.key(key, { text: 'Before the break, during the break, and after it.', chunks: 13 });
  await call('keys.save', { provider: 'openai', apiKey: key });
  await page.goto('/agents/developer');
  const standing = other.provider.gate(5, { path: inference });
  await ask(page, 'Go on in any case');
  await standing.reached;
  await until(async () => (await said(page)).startsWith('Before'));
  line.cut();
  await page.getByText('The connection broke. Reconnecting').waitFor();
  await standing.step(2);
  await until(async () => (await page.getByText('Reconnecting').count()) === 0 && /during/.test(await said(page)));
  // Whoever comes back to it gets all of it.
  await page.reload();
  await until(async () => (await said(page)).startsWith('Before the break, during'));
  standing.open();
  await answered(page, 'Before the break, during the break, and after it.');
  expect(complaints(/ERR_CONNECTION_RESET|ERR_INCOMPLETE/)).toEqual([]);
});

/** The binary behind a browser: whatever is inside it as an asset of its own is asked for once. */
import { beforeAll, expect, test } from 'vitest';
import { newKey, openStage, password, type Stage, until } from '../stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  return () => stage[Symbol.asyncDispose]();
});

test('somebody signs in, saves a key, calls with a token, and sees it in the usage', async () => {
  await stage.office.addUser('ada@example.com', 'premium');
  const { page, call, complaints } = await stage.visitor();
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await page.goto('/settings/api-keys');
  await page.getByLabel('E-mail').fill('ada@example.com');
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');

  await page.getByRole('button', { name: 'Add key: OpenAI' }).click();
  await page.getByRole('dialog').getByRole('textbox', { name: 'OpenAI key' }).fill(key);
  await page.getByRole('dialog').getByRole('button', { name: 'Save Key' }).click();
  await page.getByRole('region', { name: 'OpenAI' }).getByText('Valid', { exact: true }).waitFor();

  const { secret } = (await call('tokens.create', { name: 'laptop', scopes: ['gateway'] })) as { secret: string };
  const answer = await complete(secret, { messages: [{ role: 'user', content: 'Hello' }] });
  expect(answer.headers.get('x-byok-key-source')).toBe('user');
  expect(await answer.json()).toMatchObject({ object: 'chat.completion' });

  await page.getByRole('link', { name: 'Usage' }).click();
  await page.getByRole('table', { name: 'By key' }).getByText('Your keys').waitFor();
  expect(complaints(/status of 401/)).toEqual([]);
});

test('both SDKs, the tokenizer and the passkeys are in it', async () => {
  const { call, context } = await stage.user('premium');
  for (const provider of ['openai', 'anthropic'] as const) {
    const key = newKey(provider);
    stage.provider.key(key, 'good');
    await call('keys.save', { provider, apiKey: key });
    const answer = await context.request.post(`${stage.origin}/api/v1/agents/general/messages`, {
      data: { content: 'Hello', provider },
      headers: { origin: stage.origin },
    });
    expect(await answer.text(), provider).toContain('event: done');
  }

  const { secret } = (await call('tokens.create', { name: 'laptop', scopes: ['gateway'] })) as { secret: string };
  const leaving = new AbortController();
  const question = { stream: true, messages: [{ role: 'user', content: '/say tokens=900 chunks=300 delay=20' }] };
  const left = await complete(secret, question, leaving.signal);
  await left.body?.getReader().read();
  leaving.abort();
  await until(() => /"estimated":true/.test(stage.console()));

  const options = await call('accounts.passkeyOptions', { password });
  expect(options).toMatchObject({ options: { challenge: expect.any(String) } });
});

function complete(token: string, body: object, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(`${stage.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', ...body }),
    signal,
  });
}

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { providers } from '../src/providers/catalog.ts';
import { all, anthropicKey, chat, failure, last, message, openaiKey, post, stage } from './provider/stage.ts';
import { anthropicStates, openaiStates, type Row } from './provider/states.ts';
import { demoKeys, type StateName, startProvider, states } from './provider.ts';

type ErrorClass = abstract new (...args: never) => Error;
const openaiClasses: Record<number, ErrorClass> = {
  400: OpenAI.BadRequestError,
  401: OpenAI.AuthenticationError,
  403: OpenAI.PermissionDeniedError,
  404: OpenAI.NotFoundError,
  409: OpenAI.ConflictError,
  422: OpenAI.UnprocessableEntityError,
  429: OpenAI.RateLimitError,
  500: OpenAI.InternalServerError,
  503: OpenAI.InternalServerError,
};

test.each(states.openai)('OpenAI: %s raises the class of its status in the SDK', async (state) => {
  await using app = await stage();
  app.provider.key(openaiKey, state);
  const row: Row = openaiStates[state];
  const error = (await failure(app.openai.chat.completions.create(chat))) as InstanceType<typeof OpenAI.APIError>;
  expect(error).toBeInstanceOf(openaiClasses[row.status] ?? OpenAI.APIError);
  expect(error.status).toBe(row.status);
  expect(error.requestID).toMatch(/^req_/);
  expect(error.type).toEqual(expect.any(String));
  for (const [name, value] of Object.entries(row.headers ?? {})) expect(error.headers?.get(name)).toBe(value);
});

test.each([
  ['invalid_api_key', 'invalid_api_key'],
  ['account_deactivated', 'account_deactivated'],
  ['missing_scopes', null],
  ['insufficient_quota', 'insufficient_quota'],
  ['insufficient_quota_by_type', null],
  ['credit_balance_exhausted', 'credit_balance_exhausted'],
  ['organization_spend_limit_exceeded', 'organization_spend_limit_exceeded'],
  ['project_spend_limit_exceeded', 'project_spend_limit_exceeded'],
  ['organization_usage_limit_exceeded', 'organization_usage_limit_exceeded'],
  ['billing_not_active', 'billing_not_active'],
  ['billing_hard_limit_reached', 'billing_hard_limit_reached'],
  ['rate_limit_exceeded', 'rate_limit_exceeded'],
] as const)('OpenAI: the code of %s is %s', async (state, code) => {
  await using app = await stage();
  app.provider.key(openaiKey, state);
  expect(await failure(app.openai.chat.completions.create(chat))).toMatchObject({ code });
});

const anthropicClasses: Record<number, ErrorClass> = {
  400: Anthropic.BadRequestError,
  401: Anthropic.AuthenticationError,
  402: Anthropic.APIError,
  403: Anthropic.PermissionDeniedError,
  404: Anthropic.NotFoundError,
  409: Anthropic.ConflictError,
  422: Anthropic.UnprocessableEntityError,
  429: Anthropic.RateLimitError,
  500: Anthropic.InternalServerError,
  504: Anthropic.InternalServerError,
  529: Anthropic.InternalServerError,
};

test.each(states.anthropic)('Anthropic: %s raises the class of its status in the SDK', async (state) => {
  await using app = await stage();
  app.provider.key(anthropicKey, state);
  const row: Row = anthropicStates[state];
  const error = (await failure(app.anthropic.messages.create(message))) as InstanceType<typeof Anthropic.APIError>;
  expect(error).toBeInstanceOf(anthropicClasses[row.status] ?? Anthropic.APIError);
  expect(error.status).toBe(row.status);
  expect(error.requestID).toMatch(/^req_/);
  expect(error.error).toMatchObject({ type: 'error', error: { message: expect.any(String) }, request_id: error.requestID });
});

test.each([
  ['credit_balance_too_low', /^Your credit balance is too low to access the Anthropic API/, null],
  ['usage_limit_reached', /^You have reached your specified API usage limits/, null],
  ['workspace_usage_limit_reached', /^You have reached your specified workspace API usage limits/, null],
  ['enforced_spend_limit_reached', /./, 'enforced_spend_limit_reached'],
  ['contract_spend_limit_reached', /./, 'contract_spend_limit_reached'],
] as const)('Anthropic: %s says it as the real one does', async (state, text, code) => {
  await using app = await stage();
  app.provider.key(anthropicKey, state);
  const error = (await failure(app.anthropic.messages.create(message))) as InstanceType<typeof Anthropic.APIError>;
  expect(error.apiMessage).toMatch(text);
  expect(error.errorCode).toBe(code);
  expect(error.headers?.get('retry-after')).toBeNull();
});

test('a rate limit comes with its headers', async () => {
  await using app = await stage();
  app.provider.key(openaiKey, 'rate_limited');
  app.provider.key(anthropicKey, 'rate_limited');
  const one = (await failure(app.openai.chat.completions.create(chat))) as InstanceType<typeof OpenAI.APIError>;
  expect(one.headers?.get('retry-after-ms')).toBe('1200');
  expect(one.headers?.get('x-ratelimit-remaining-requests')).toBe('0');
  const two = (await failure(app.anthropic.messages.create(message))) as InstanceType<typeof Anthropic.APIError>;
  expect(two.headers?.get('retry-after')).toBe('12');
  expect(two.headers?.get('anthropic-ratelimit-requests-remaining')).toBe('0');
});

test('an unknown key meets the real 401, with a fragment of the key; a key of the other provider is unknown', async () => {
  await using app = await stage();
  const stranger = 'sk-stranger-abcdefgh-wxyz';
  const error = await failure(app.openai.withOptions({ apiKey: stranger }).models.list());
  expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' });
  expect(String(error)).toMatch(/sk-stran\*+wxyz/);
  expect(await failure(app.anthropic.withOptions({ apiKey: openaiKey }).models.list())).toMatchObject({
    status: 401,
    type: 'authentication_error',
  });
});

test('a key without credit still lists models, as at the real ones, unless the script says everywhere', async () => {
  await using app = await stage();
  app.provider.key(openaiKey, 'no_credit');
  app.provider.key(anthropicKey, 'no_credit');
  expect((await app.openai.models.list()).data.length).toBeGreaterThan(10);
  expect((await app.anthropic.models.list()).data.length).toBeGreaterThan(5);
  app.provider.key(openaiKey, { state: 'no_credit', everywhere: true });
  expect(await failure(app.openai.models.list())).toMatchObject({ status: 429, code: 'insufficient_quota' });
});

test('a key that lacks a model gets 404 for it and does not list it', async () => {
  await using app = await stage();
  app.provider.key(anthropicKey, { lacks: ['claude-haiku-4-5-20251001'] });
  expect(await failure(app.anthropic.messages.create(message))).toMatchObject({ status: 404, type: 'not_found_error' });
  expect((await all(app.anthropic.models.list({ limit: 4 }))).map(({ id }) => id)).not.toContain('claude-haiku-4-5-20251001');
  expect((await app.anthropic.messages.create({ ...message, model: 'claude-3-haiku-20240307' })).model).toBe('claude-3-haiku-20240307');
  app.provider.key(openaiKey, { lacks: ['gpt-4o-mini'] });
  expect(await failure(app.openai.chat.completions.create(chat))).toMatchObject({ status: 404, code: 'model_not_found' });
});

test('every model that the catalog shows answers under its name, and is listed; one that nobody knows does not', async () => {
  await using app = await stage();
  const listed = (await all(app.openai.models.list())).map(({ id }) => id);
  for (const model of providers.openai.models) {
    expect(listed).toContain(model);
    const answer = model.includes('embedding')
      ? await app.openai.embeddings.create({ model, input: 'hello' })
      : model.includes('instruct')
        ? await app.openai.completions.create({ model, prompt: 'hello' })
        : await app.openai.chat.completions.create({ ...chat, model });
    expect(answer.model).toContain(model);
  }
  for (const model of providers.anthropic.models) {
    expect((await app.anthropic.models.retrieve(model)).display_name).toMatch(/^Claude [A-Z]/);
    await app.anthropic.messages.create({ ...message, model });
  }
  const unknown = 'gpt-nonsense';
  expect(await failure(app.openai.chat.completions.create({ ...chat, model: unknown }))).toMatchObject({ status: 404 });
  expect(await failure(app.anthropic.messages.create({ ...message, model: unknown }))).toMatchObject({ status: 404 });
});

test.each([301, 302, 303, 307, 308] as const)('a redirect %i names the trap', async (status) => {
  await using app = await stage();
  app.provider.next({ state: `redirect_${status}`, location: 'http://127.0.0.1:1/trap' });
  const res = await post(app.provider, '/v1/chat/completions', chat);
  expect([res.status, res.headers.get('location')]).toEqual([status, 'http://127.0.0.1:1/trap']);
});

test('a proxy answers 502 in HTML; a raw answer is sent as it is written', async () => {
  await using app = await stage();
  app.provider.next(['bad_gateway', { status: 418, headers: { 'Retry-After': '9' }, body: { teapot: true } }]);
  expect(await failure(app.openai.chat.completions.create(chat))).toMatchObject({ status: 502 });
  const res = await post(app.provider, '/v1/chat/completions', chat);
  expect([res.status, res.headers.get('retry-after'), await res.json()]).toEqual([418, '9', { teapot: true }]);
});

test('one-shot scripts go to the requests that they match, in order, whatever the key', async () => {
  await using app = await stage();
  app.provider.next('overloaded', { provider: 'anthropic' });
  app.provider.next(['down', { text: 'second' }], { path: '/v1/chat/completions' });
  expect((await app.openai.models.list()).data.length).toBeGreaterThan(0);
  expect(await failure(app.openai.chat.completions.create(chat))).toMatchObject({ status: 500 });
  expect((await app.openai.chat.completions.create(chat)).choices[0]?.message.content).toBe('second');
  expect((await app.openai.chat.completions.create(chat)).choices[0]?.message.content).not.toBe('second');
  expect(await failure(app.anthropic.messages.create(message))).toMatchObject({ status: 529 });
});

test('every request is remembered byte for byte', async () => {
  await using app = await stage();
  const body = '{"model":"gpt-4o", "messages":[{"role":"user","content":"h\\u0069"}], "seed":9007199254740993}';
  await (await post(app.provider, '/v1/chat/completions?a=1&b', body, { 'X-Own-Case': 'yes' })).text();
  const seen = last(app.provider);
  expect(seen).toMatchObject({
    method: 'POST',
    path: '/v1/chat/completions',
    query: 'a=1&b',
    provider: 'openai',
    key: openaiKey,
    status: 200,
  });
  expect(seen.body.toString()).toBe(body);
  expect(seen.rawHeaders.join()).toMatch(/x-own-case,yes/i);
  expect(await seen.settled).toBe('ended');
  app.provider.reset();
  expect(app.provider.requests).toHaveLength(0);
});

test('nothing is remembered when not asked to', async () => {
  await using app = await stage({ record: false });
  await app.openai.chat.completions.create(chat);
  expect(app.provider.requests).toHaveLength(0);
});

test('open sockets are counted, and none is left after closing', async () => {
  const app = await stage();
  const socket = connect(Number(new URL(app.provider.url).port), '127.0.0.1');
  await once(socket, 'connect');
  await app.openai.models.list();
  expect(app.provider.openSockets()).toBeGreaterThanOrEqual(2);
  socket.on('error', () => {});
  await app.provider.close();
  expect(app.provider.openSockets()).toBe(0);
});

test('a misspelt state fails where it is written', async () => {
  await using app = await stage();
  expect(() => app.provider.key(openaiKey, 'authentication_error')).toThrow(/does not exist at openai/);
  expect(() => app.provider.key(anthropicKey, 'no_such_state' as StateName)).toThrow(/does not exist at anthropic/);
});

test('there is a demo key for every state, and it does what it says', async () => {
  const keys = demoKeys('openai');
  await using provider = await startProvider({ openai: { keys }, anthropic: { keys: demoKeys('anthropic') } });
  expect(Object.keys(keys)).toHaveLength(states.openai.length + states.shared.length + states.transport.length);
  const openai = new OpenAI({ apiKey: 'sk-demo-no_credit-0123456789abcdef', baseURL: provider.openaiUrl, maxRetries: 0 });
  expect(await failure(openai.chat.completions.create(chat))).toMatchObject({ code: 'insufficient_quota' });
});

test('by hand: five keys for each provider with what they do, all of them only when asked, and help', async () => {
  const program = join(import.meta.dirname, 'provider.ts');
  const { stdout: help } = await promisify(execFile)(process.execPath, [program, '--help']);
  expect(help).toMatch(/--port[\s\S]*--all/);
  await expect(promisify(execFile)(process.execPath, [program, '--nonsense'])).rejects.toMatchObject({ code: 2, stdout: '' });
  const printed = async (...args: string[]) => {
    const child = spawn(process.execPath, [program, '--port', '0', ...args]);
    let said = '';
    for await (const part of child.stdout) {
      said += String(part);
      if (said.includes('Ctrl-C')) break;
    }
    child.kill();
    return said;
  };
  const [short, long] = await Promise.all([printed(), printed('--all')]);
  const keys = (text: string) => [...text.matchAll(/sk-(?:ant-)?demo-\S+/g)].map(([key]) => key);
  for (const head of ['sk-demo', 'sk-ant-demo']) {
    const five = ['good', 'revoked', 'no_credit', 'down', 'rate_limited'].map((state) => `${head}-${state}-0123456789abcdef`);
    expect(keys(short).filter((key) => key.startsWith(head))).toEqual(five);
  }
  for (const word of ['works', 'refused', 'no credit', 'provider down', 'rate limited'])
    expect(short).toMatch(new RegExp(`^ +${word} `, 'm'));
  expect(keys(long).toSorted()).toEqual([...Object.keys(demoKeys('openai')), ...Object.keys(demoKeys('anthropic'))].sort());
  // Listing models works with it, so a check accepts it: the list must not say otherwise.
  expect(long).toMatch(/400 to requests only +sk-demo-invalid-/);
});

test('a reset opens the gates and forgets scripts and keys, but not those of the start', async () => {
  await using app = await stage();
  const gate = app.provider.gate();
  const answer = app.openai.chat.completions.create(chat);
  await gate.reached;
  app.provider.next('down');
  app.provider.key(openaiKey, 'revoked');
  app.provider.reset();
  expect((await answer).object).toBe('chat.completion');
  expect((await app.openai.chat.completions.create(chat)).object).toBe('chat.completion');
});

import { AppError } from '@synthstack/core';
import { expect, test } from 'vitest';
import { anthropic } from '../providers/anthropic.ts';
import { providerOf } from '../providers/catalog.ts';
import { openai } from '../providers/openai.ts';
import type { Provider, Route } from '../providers/provider.ts';
import { type GateRules, gate } from './gate.ts';

const price: GateRules['price'] = (provider, model) => providerOf(provider).price(model);
const everything: GateRules = { models: null, price, maxOutput: 16_384 };
const user = [{ role: 'user', content: 'Hi' }];

function routeOf(provider: Provider, path: string): Route {
  const route = provider.routes.find((one) => one.path === path && one.method === 'POST');
  if (!route) throw new Error(`There is no ${path}.`);
  return route;
}
const chat = routeOf(openai, '/v1/chat/completions');
const completions = routeOf(openai, '/v1/completions');
const responses = routeOf(openai, '/v1/responses');
const messages = routeOf(anthropic, '/v1/messages');

const sent = (provider: Provider, route: Route, json: Record<string, unknown>, rules = everything) => {
  const { body, capped } = gate(provider, route, json, rules);
  return { json: JSON.parse(body.toString()) as Record<string, unknown>, capped };
};
const chatJson = (more: Record<string, unknown>) => ({ model: 'gpt-4o-mini', messages: user, ...more });
const responseJson = (more: Record<string, unknown>) => ({ model: 'gpt-4o-mini', input: 'Hi', ...more });
const messageJson = (more: Record<string, unknown>) => ({ model: 'claude-haiku-4-5', max_tokens: 100, messages: user, ...more });

function refusal(act: () => unknown): { code: string; fields: string[]; message: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, fields: Object.keys(error.errors ?? {}), message: error.message };
    throw error;
  }
  return { code: 'none', fields: [], message: '' };
}

test.each([
  ['chat', openai, chat, chatJson({}), { max_completion_tokens: 16_384, store: false }, 16_384],
  ['chat, lowered', openai, chat, chatJson({ max_tokens: 99_999 }), { max_tokens: 16_384 }, 16_384],
  [
    'chat, both',
    openai,
    chat,
    chatJson({ max_tokens: 5, max_completion_tokens: 1e9 }),
    { max_tokens: 5, max_completion_tokens: 16_384 },
    16_384,
  ],
  [
    'chat, small enough',
    openai,
    chat,
    chatJson({ max_completion_tokens: 7, store: true }),
    { max_completion_tokens: 7, store: false },
    null,
  ],
  ['chat, null', openai, chat, chatJson({ max_tokens: null }), { max_tokens: null, max_completion_tokens: 16_384 }, 16_384],
  ['chat, infinite', openai, chat, JSON.parse('{"model":"gpt-4o-mini","max_tokens":1e999}'), { max_tokens: 16_384 }, 16_384],
  ['completions', openai, completions, { model: 'gpt-3.5-turbo-instruct', prompt: 'Hi' }, { max_tokens: 16_384 }, 16_384],
  ['responses', openai, responses, responseJson({}), { max_output_tokens: 16_384, store: false }, 16_384],
  [
    'responses, lowered',
    openai,
    responses,
    responseJson({ max_output_tokens: 20_000, store: true }),
    { max_output_tokens: 16_384, store: false },
    16_384,
  ],
  ['messages', anthropic, messages, messageJson({ max_tokens: 64_000 }), { max_tokens: 16_384 }, 16_384],
  ['messages, small enough', anthropic, messages, messageJson({}), { max_tokens: 100 }, null],
] as const)('the output is capped: %s', (_, provider, route, json, expected, capped) => {
  const result = sent(provider, route, json);
  expect(result.json).toMatchObject(expected);
  expect(result.capped).toBe(capped);
  if (provider === anthropic) expect(result.json).not.toHaveProperty('store');
});

test.each([
  ['previous_response_id', responseJson({ previous_response_id: 'resp_1' })],
  ['conversation', responseJson({ conversation: 'conv_1' })],
  ['background', responseJson({ background: true })],
  ['prompt.id', responseJson({ prompt: { id: 'pmpt_1' } })],
  ['input.0.content.0.file_id', responseJson({ input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file-1' }] }] })],
  ['input.0.type', responseJson({ input: [{ type: 'item_reference', id: 'msg_1' }] })],
  ['input.1.id', responseJson({ input: [{ role: 'user', content: 'Hi' }, { id: 'msg_1' }] })],
  ['input.0.id', responseJson({ input: [{ type: null, id: 'msg_1' }] })],
  ['messages.0.audio.id', chatJson({ messages: [{ role: 'assistant', audio: { id: 'audio_1' } }] })],
  [
    'messages.0.content.0.file.file_id',
    chatJson({ messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file-1' } }] }] }),
  ],
  [
    'messages.0.content.0.source.file_id',
    messageJson({ messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'file', file_id: 'f' } }] }] }),
  ],
  ['parameters.0.file_id', chatJson({ parameters: [{ file_id: 'file-1' }] })],
  ['file_id', chatJson({ file_id: 'file-1' })],
  ['container', messageJson({ container: 'container_1' })],
  ['mcp_servers', messageJson({ mcp_servers: [{ type: 'url', url: 'https://x.example' }] })],
  ['tools.0.type', responseJson({ tools: [{ type: 'web_search' }] })],
  ['tools.1.type', responseJson({ tools: [{ type: 'function', name: 'f' }, { type: 'code_interpreter' }] })],
  ['tools.0.type', responseJson({ tools: [{ type: 'mcp', server_url: 'https://x.example' }] })],
  ['tools.0.type', messageJson({ tools: [{ type: 'web_search_20250305', name: 'web_search' }] })],
  ['tools.0.type', messageJson({ tools: [{ type: null, name: 'x' }] })],
  ['tools.0.type', messageJson({ tools: ['web_search'] })],
  [
    'input.0.tools.1.type',
    responseJson({ input: [{ type: 'additional_tools', role: 'developer', tools: [{ type: 'function' }, { type: 'web_search' }] }] }),
  ],
  [
    'input.1.tools.0.type',
    responseJson({ input: ['Hi', { type: 'tool_search_output', tools: [{ type: 'mcp', server_url: 'https://x.example' }] }] }),
  ],
  ['input.0.tools.0.type', responseJson({ input: [{ type: 'additional_tools', tools: ['web_search'] }] })],
  [
    'messages.0.content.0.tool.definition.type',
    messageJson({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'tool_addition', tool: { type: 'tool_definition', definition: { type: 'web_search_20260318', name: 'web_search' } } },
          ],
        },
      ],
    }),
  ],
  ['thread', messageJson({ thread: { type: 'continue', id: 'thread_1' } })],
  ['fallbacks', messageJson({ fallbacks: [{ model: 'claude-opus-4-8' }] })],
  ['diagnostics', messageJson({ diagnostics: { previous_message_id: 'msg_1' } })],
  ['background', chatJson({ background: 'transparent' })],
  ['service_tier', messageJson({ service_tier: 'batch' })],
  ['n', responseJson({ n: 0 })],
  ['web_search_options', chatJson({ web_search_options: {} })],
  ['n', chatJson({ n: 2 })],
  ['n', chatJson({ n: '2' })],
  ['prompt', { model: 'gpt-3.5-turbo-instruct', prompt: ['a', 'b'] }],
  ['prompt', { model: 'gpt-3.5-turbo-instruct', prompt: [[1, 2], [3]] }],
  ['best_of', { model: 'gpt-3.5-turbo-instruct', best_of: 5 }],
  ['service_tier', chatJson({ service_tier: 'priority' })],
  ['service_tier', chatJson({ service_tier: 'flex' })],
  ['speed', messageJson({ speed: 'fast' })],
  ['inference_geo', messageJson({ inference_geo: 'us' })],
])('%s is refused by name', (field, json) => {
  const provider = String(json.model).startsWith('claude') ? anthropic : openai;
  const route = provider === anthropic ? messages : 'messages' in json ? chat : responses;
  expect(refusal(() => gate(provider, route, json, everything))).toMatchObject({ code: 'field_not_allowed', fields: [field] });
});

test.each([
  [
    'plain and custom tools',
    chatJson({
      tools: [
        { type: 'function', function: { name: 'f' } },
        { type: 'custom', custom: { name: 'c' } },
      ],
    }),
  ],
  [
    "Anthropic's own kind of tool",
    messageJson({
      tools: [
        { name: 'f', input_schema: { type: 'object' } },
        { type: 'custom', name: 'g' },
      ],
    }),
  ],
  [
    'a schema that describes a file_id',
    chatJson({
      tools: [
        { type: 'function', function: { name: 'f', parameters: { properties: { file_id: { type: 'string' } }, required: ['file_id'] } } },
      ],
    }),
  ],
  [
    'an answer format with a file_id',
    chatJson({
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { properties: { file_id: { type: 'string' } } } } },
    }),
  ],
  [
    "what a model gave to the caller's own tool",
    messageJson({
      messages: [...user, { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'read', input: { file_id: 'mine' } }] }],
    }),
  ],
  [
    'what is absent or switched off',
    chatJson({ n: 1, background: false, service_tier: 'auto', tools: null, conversation: null, previous_response_id: null }),
  ],
  [
    'tools of the caller that come in the middle',
    responseJson({
      input: [
        {
          type: 'additional_tools',
          role: 'developer',
          tools: [{ type: 'function', name: 'f', parameters: { properties: { tools: {} } } }],
        },
        { type: 'function_call_output', call_id: 'c', output: '{"tools":[{"type":"web_search"}]}' },
      ],
    }),
  ],
  [
    'a tool of the caller that is added later',
    messageJson({
      messages: [
        {
          role: 'user',
          content: [{ type: 'tool_addition', tool: { type: 'tool_definition', definition: { name: 'f', input_schema: {} } } }],
        },
      ],
    }),
  ],
  ['diagnostics without a former answer', messageJson({ diagnostics: { previous_message_id: null } })],
  ['the standard service tier', messageJson({ service_tier: 'standard_only' })],
])('%s passes', (_, json) => {
  const provider = String(json.model).startsWith('claude') ? anthropic : openai;
  expect(refusal(() => gate(provider, provider === anthropic ? messages : chat, json, everything)).code).toBe('none');
});

test('thinking must fit under the cap', () => {
  const thinking = (budget_tokens: number) => messageJson({ max_tokens: 32_000, thinking: { type: 'enabled', budget_tokens } });
  expect(refusal(() => gate(anthropic, messages, thinking(16_384), everything))).toMatchObject({
    code: 'invalid_input',
    fields: ['thinking.budget_tokens'],
  });
  expect(sent(anthropic, messages, thinking(16_383)).json.max_tokens).toBe(16_384);
});

test.each([
  ['max_tokens', messageJson({ max_tokens: '99999' })],
  ['tools', messageJson({ tools: { 0: { type: 'web_search' } } })],
  ['model', { ...messageJson({}), model: undefined }],
  ['model', { ...messageJson({}), model: ['claude-haiku-4-5'] }],
])('%s of a wrong type is refused, not guessed', (field, json) => {
  expect(refusal(() => gate(anthropic, messages, json, everything))).toMatchObject({ code: 'invalid_input', fields: [field] });
});

test('models: those with a price, or those that the operator lists', () => {
  const ask = (model: string, rules: GateRules) => refusal(() => gate(openai, chat, chatJson({ model }), rules));
  expect(ask('gpt-4o-mini', everything).code).toBe('none');
  expect(ask('a-model-of-nobody', everything).code).toBe('model_not_allowed');
  expect(ask('claude-haiku-4-5', everything).code).toBe('model_not_allowed');
  // It has a price, and is the operator's own.
  const trained = 'ft:gpt-4o-mini-2024-07-18:acme::abc123';
  expect(openai.price(trained)).not.toBeNull();
  expect(ask(trained, everything).code).toBe('model_not_allowed');
  expect(ask(trained, { ...everything, models: [trained] }).code).toBe('none');
  const some = { models: ['gpt-4o-mini', 'a-model-of-nobody'], price, maxOutput: 100 };
  expect(ask('a-model-of-nobody', some).code).toBe('none');
  expect(ask('gpt-4o', some)).toMatchObject({ code: 'model_not_allowed', message: expect.stringContaining('gpt-4o-mini') });
});

test('what the gate saw is what the provider receives: of duplicate names the last, serialised anew', () => {
  const text = '{"model":"gpt-4o","model":"gpt-4o-mini","n":5,"n":1,"max_tokens":999999,"max_tokens":3}';
  const { body } = gate(openai, chat, JSON.parse(text), everything);
  expect(body.toString()).toBe('{"model":"gpt-4o-mini","n":1,"max_tokens":3,"store":false}');
});

test('a stream is asked for its usage, and its other options stay', () => {
  expect(
    sent(openai, chat, chatJson({ stream: true, stream_options: { include_obfuscation: false, include_usage: false } })).json
      .stream_options,
  ).toEqual({
    include_obfuscation: false,
    include_usage: true,
  });
  expect(sent(openai, chat, chatJson({ stream: true, stream_options: null })).json.stream_options).toEqual({ include_usage: true });
  expect(sent(openai, chat, chatJson({})).json).not.toHaveProperty('stream_options');
  expect(sent(openai, responses, responseJson({ stream: true })).json).not.toHaveProperty('stream_options');
  expect(sent(anthropic, messages, messageJson({ stream: true })).json).not.toHaveProperty('stream_options');
});

test.each([
  ['none', undefined, 'omni-moderation-latest'],
  ['null', null, 'omni-moderation-latest'],
  ['the older one', 'text-moderation-latest', 'text-moderation-latest'],
])('moderations are free, and go out by default: with the model %s', (_, model, expected) => {
  const moderations = routeOf(openai, '/v1/moderations');
  expect(sent(openai, moderations, { input: 'Hi', ...(model !== undefined && { model }) })).toEqual({
    json: { input: 'Hi', model: expected },
    capped: null,
  });
});

test("an operator's list holds for moderations too, named or not", () => {
  const some = { models: ['gpt-4o-mini'], price, maxOutput: 100 };
  const act = (json: Record<string, unknown>, rules: GateRules) =>
    refusal(() => gate(openai, routeOf(openai, '/v1/moderations'), json, rules)).code;
  expect(act({ input: 'Hi' }, some)).toBe('model_not_allowed');
  expect(act({ input: 'Hi' }, { ...some, models: ['omni-moderation-latest'] })).toBe('none');
  expect(act({ input: 'Hi', model: 'gpt-4o' }, { ...some, models: ['omni-moderation-latest'] })).toBe('model_not_allowed');
});

test('a field that means something else on a route passes there, and only there', () => {
  const images = routeOf(openai, '/v1/images/generations');
  const speech = routeOf(openai, '/v1/audio/speech');
  const image = { model: 'gpt-image-1', prompt: 'A cat', background: 'transparent' };
  const spoken = { model: 'gpt-4o-mini-tts', input: 'Hi', voice: 'alloy', speed: 1.5 };
  expect(sent(openai, images, image).json).toEqual(image);
  expect(sent(openai, speech, spoken).json).toEqual(spoken);
  for (const [route, json, field] of [
    [images, { ...image, speed: 'fast' }, 'speed'],
    [images, { ...image, n: 2 }, 'n'],
    [speech, { ...spoken, background: true }, 'background'],
  ] as const) {
    expect(refusal(() => gate(openai, route, json, everything))).toMatchObject({ code: 'field_not_allowed', fields: [field] });
  }
});

test('a body that is nested without end is refused, and ends nothing, wherever the nest is', () => {
  let deep: unknown = 'x';
  for (let i = 0; i < 100_000; i += 1) deep = [deep];
  const given = [{ role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'f', input: { deep } }] }];
  for (const [provider, route, json] of [
    [openai, chat, chatJson({ messages: deep })],
    [anthropic, messages, messageJson({ messages: given })],
  ] as const) {
    expect(refusal(() => gate(provider, route, json, everything))).toMatchObject({ code: 'invalid_input', fields: ['body'] });
  }
});

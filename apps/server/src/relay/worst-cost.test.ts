/** What a request may cost at most: never less than its provider can make of it, however few its bytes are. */
import { expect, test } from 'vitest';
import { anthropic } from '../providers/anthropic.ts';
import { openai } from '../providers/openai.ts';
import type { Provider } from '../providers/provider.ts';
import { countedCost, worstCost } from './worst-cost.ts';

const price = { input: 1_000_000, cachedInput: 0, cacheWrite: 0, cacheWrite1h: 0, audioInput: 0, output: 0, audioOutput: 0, tiers: [] };
const few = 2_000;

function asked(provider: Provider, path: string, sent: object | string) {
  const route = provider.routes.find((one) => one.path === path && one.method === 'POST');
  if (!route) throw new Error(`There is no route ${path}.`);
  const body = Buffer.from(typeof sent === 'string' ? sent : JSON.stringify(sent));
  return { provider, route, json: JSON.parse(body.toString()) as Record<string, unknown>, body };
}
const said = (content: unknown) => ({ model: 'claude-sonnet-4-5', max_tokens: 1, messages: [{ role: 'user', content }] });
const messages = (content: unknown) => asked(anthropic, '/v1/messages', said(content));
const chat = (content: unknown) =>
  asked(openai, '/v1/chat/completions', { model: 'gpt-4.1', max_completion_tokens: 1, messages: [{ role: 'user', content }] });
const responses = (input: unknown) => asked(openai, '/v1/responses', { model: 'gpt-4.1', max_output_tokens: 1, input });
const tokens = async (one: Parameters<typeof worstCost>[0]) =>
  [worstCost(one, price), await countedCost(one, price)].map((cost) => cost / 1_000);
const pdf = { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0xLjcK' };
const png = { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' };

test('text is no more tokens than it has bytes, and what it says about ids and addresses changes nothing', async () => {
  const text = 'See {"file_id": 1}, {"url": 2} and "item_reference".';
  const result = { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text }] };
  const called = { role: 'tool', tool_call_id: 'call_1', content: text };
  const own = [
    { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text }] },
    { type: 'function_call_output', call_id: 'call_1', output: text },
  ];
  const plain = { type: 'document', source: { type: 'text', media_type: 'text/plain', data: text } };
  const withTool = asked(openai, '/v1/chat/completions', { model: 'gpt-4.1', max_completion_tokens: 1, messages: [called] });
  for (const one of [messages(text), messages([result]), messages([plain]), chat(text), withTool, responses(text), responses(own)])
    for (const most of await tokens(one)) expect(most, one.body.toString()).toBeLessThan(few);
});

test('what a provider unfolds, fetches or remembers may be all that the model takes', async () => {
  const elsewhere = [
    messages([{ type: 'document', source: pdf }]),
    messages([{ type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'document', source: pdf }] }]),
    messages([{ type: 'document', source: { type: 'url', url: 'https://example.com/a.pdf' } }]),
    messages([{ type: 'image', source: { type: 'file', file_id: 'file_1' } }]),
    chat([{ type: 'file', file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${pdf.data}` } }]),
    chat([{ type: 'image_url', image_url: { url: `data:image/png;base64,${png.data}` } }]),
    asked(openai, '/v1/chat/completions', { model: 'gpt-4.1', messages: [{ role: 'assistant', audio: { id: 'audio_1' } }] }),
    responses([{ role: 'user', content: [{ type: 'input_file', filename: 'a.pdf', file_data: pdf.data }] }]),
    responses([{ type: 'item_reference', id: 'msg_1' }]),
    responses([{ id: 'msg_1' }]),
    responses([{ type: 'reasoning', id: 'rs_1', summary: [] }]),
    responses([{ type: 'image_generation_call', id: 'ig_1' }]),
    // The same names, written in another way.
    asked(openai, '/v1/responses', String.raw`{"model":"gpt-4.1","max_output_tokens":1,"input":"hi","previous_response\u005fid":"resp_1"}`),
    asked(openai, '/v1/responses', { model: 'gpt-4.1', input: 'hi', prompt: { id: 'pmpt_1' } }),
  ];
  for (const one of elsewhere)
    for (const most of await tokens(one))
      expect(most, one.body.toString()).toBeGreaterThanOrEqual(one.provider.windows(String(one.json.model)).input);
});

test('an image is as many tokens as the largest may be, however few bytes it is', async () => {
  const many = Array.from({ length: 100 }, () => ({ type: 'image', source: png }));
  for (const most of await tokens(messages(many))) {
    expect(most).toBeGreaterThanOrEqual(100 * 4_784);
    expect(most).toBeLessThan(1_000_000);
  }
});

test('numbers that are none cost the most', () => {
  const one = asked(openai, '/v1/chat/completions', '{"model":"gpt-4.1","n":1e999,"max_completion_tokens":0,"messages":[]}');
  expect(worstCost(one, price)).toBe(2e15);
});

test('a request that is nested as deep as it may be is read to its end', () => {
  const depth = 100_000;
  const one = asked(openai, '/v1/responses', { model: 'gpt-4.1', max_output_tokens: 1, input: 'hi' });
  const nested: unknown = JSON.parse(`${'['.repeat(depth)}{"file_id":"file_1"}${']'.repeat(depth)}`);
  expect(worstCost({ ...one, json: { ...one.json, nested } }, price)).toBeGreaterThanOrEqual(1e9);
});

/** Estimates of input, against what the providers' own documentation says that their APIs counted. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { cpuMs } from '../../test/cpu.ts';
import { anthropic } from './anthropic.ts';
import { sizeOfBase64 } from './image-size.ts';
import { openai } from './openai.ts';

const jargon = [
  { role: 'system', content: 'You are a helpful, pattern-following assistant that translates corporate jargon into plain English.' },
  { role: 'system', name: 'example_user', content: 'New synergies will help drive top-line growth.' },
  { role: 'system', name: 'example_assistant', content: 'Things working well together will increase revenue.' },
  {
    role: 'system',
    name: 'example_user',
    content: "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
  },
  { role: 'system', name: 'example_assistant', content: "Let's talk later when we're less busy about how to do better." },
  { role: 'user', content: "This late pivot means we don't have time to boil the ocean for the client deliverable." },
];
const weather = {
  name: 'get_current_weather',
  description: 'Get the current weather in a given location',
  parameters: {
    type: 'object',
    properties: {
      location: { type: 'string', description: 'The city and state, e.g. San Francisco, CA' },
      unit: { type: 'string', description: 'The unit of temperature to return', enum: ['celsius', 'fahrenheit'] },
    },
    required: ['location'],
  },
};
const asked = [
  { role: 'system', content: 'You are a helpful assistant that can answer to questions about the weather.' },
  { role: 'user', content: "What's the weather like in San Francisco?" },
];

test.each([
  ['gpt-4', 129],
  ['gpt-4o', 124],
  ['gpt-4o-mini', 124],
])('messages: %s counted %i tokens, says the cookbook, and so do we', async (model, tokens) => {
  expect(await openai.countInput({ messages: jargon }, model)).toBe(tokens);
});

test.each([
  ['gpt-3.5-turbo', 105],
  ['gpt-4', 105],
  ['gpt-4o', 101],
  ['gpt-4o-mini', 101],
])('a tool: %s counted %i tokens, says the cookbook, and so do we, in every form of the request', async (model, tokens) => {
  expect(await openai.countInput({ messages: asked, tools: [{ type: 'function', function: weather }] }, model)).toBe(tokens);
  expect(await openai.countInput({ messages: asked, functions: [weather] }, model)).toBe(tokens);
  const parts = asked.map(({ role, content }) => ({ role, content: [{ type: 'text', text: content }] }));
  expect(await openai.countInput({ messages: parts, tools: [{ type: 'function', function: weather }] }, model)).toBe(tokens);
  const response = { instructions: asked[0]?.content, input: asked[1]?.content, tools: [{ type: 'function', ...weather }] };
  expect(await openai.countInput(response, model)).toBe(tokens);
});

test('prompts and inputs without messages are counted as they are, lists of tokens too', async () => {
  const text = 'The owl keeps the key.';
  const bare = await openai.countTokens(text, 'gpt-3.5-turbo-instruct');
  expect(await openai.countInput({ prompt: text }, 'gpt-3.5-turbo-instruct')).toBe(bare);
  expect(await openai.countInput({ prompt: [text, text] }, 'gpt-3.5-turbo-instruct')).toBe(2 * bare);
  expect(await openai.countInput({ prompt: [[1, 2, 3], [4]] }, 'davinci-002')).toBe(4);
  expect(await openai.countInput({ input: text }, 'text-embedding-3-small')).toBe(bare);
  expect(await openai.countInput(null, null)).toBe(0);
});

const png = (width: number, height: number): string => {
  const bytes = Buffer.alloc(64);
  bytes.write('\x89PNG\r\n\x1a\n', 'latin1');
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes.toString('base64');
};

test('images are counted by their size and detail, as the guide to vision says', async () => {
  const imageTokens = async (model: string, url: string, detail?: string) => {
    const withImage = [{ role: 'user', content: [{ type: 'image_url', image_url: { url, detail } }] }];
    const without = [{ role: 'user', content: [] }];
    return (await openai.countInput({ messages: withImage }, model)) - (await openai.countInput({ messages: without }, model));
  };
  const data = (width: number, height: number) => `data:image/png;base64,${png(width, height)}`;
  expect(await imageTokens('gpt-4o', data(1_024, 1_024), 'high')).toBe(765);
  expect(await imageTokens('gpt-4o', data(2_048, 4_096))).toBe(1_105);
  expect(await imageTokens('gpt-4o', data(4_096, 8_192), 'low')).toBe(85);
  expect(await imageTokens('gpt-4o', 'https://example.com/owl.png')).toBe(765);
  expect(await imageTokens('gpt-4o-mini', data(512, 512))).toBe(8_500);
  expect(await imageTokens('gpt-4.1-mini', data(1_024, 1_024))).toBe(1_659);
  const input = [{ role: 'user', content: [{ type: 'input_image', image_url: data(1_024, 1_024), detail: 'high' }] }];
  expect(await openai.countInput({ input }, 'gpt-4o')).toBe(3 + 3 + 1 + 765);
});

test('the size of an image is read from its first bytes, whatever its kind', () => {
  const jpeg = Buffer.from('ffd8ffe000104a46494600010100000100010000ffc0001108012c019003012200021101031101', 'hex').toString('base64');
  const gif = Buffer.from('474946383961900190010000', 'hex').toString('base64');
  const extended = Buffer.concat([Buffer.from('RIFF....WEBPVP8X'), Buffer.from('0a000000000000008f01002b0100', 'hex')]).toString('base64');
  const lossless = Buffer.concat([
    Buffer.from('RIFF....WEBPVP8L'),
    Buffer.from('000000002f8fc14a0000000000', 'hex'),
    Buffer.alloc(9),
  ]).toString('base64');
  const lossy = Buffer.concat([Buffer.from('RIFF....WEBPVP8 '), Buffer.from('00000000000000009d012a90012c01', 'hex')]).subarray(0, 31);
  expect(sizeOfBase64(png(640, 480))).toEqual({ width: 640, height: 480 });
  expect(sizeOfBase64(jpeg)).toEqual({ width: 400, height: 300 });
  expect(sizeOfBase64(gif)).toEqual({ width: 400, height: 400 });
  expect(sizeOfBase64(extended)).toEqual({ width: 400, height: 300 });
  expect(sizeOfBase64(lossless)).toEqual({ width: 400, height: 300 });
  expect(sizeOfBase64(lossy.toString('base64'))).toMatchObject({ width: expect.any(Number) });
  expect(sizeOfBase64('bm8gaW1hZ2U=')).toEqual({ width: 1_024, height: 1_024 });
  expect(sizeOfBase64('')).toEqual({ width: 1_024, height: 1_024 });
});

test("Anthropic's examples are met within a seventh, and what is binary is not counted by its letters", async () => {
  const about = (tokens: number, wanted: number) => expect(Math.abs(tokens / wanted - 1), `${tokens}, not ${wanted}`).toBeLessThan(0.15);
  const hello = { system: 'You are a scientist', messages: [{ role: 'user', content: 'Hello, Claude' }] };
  about(await anthropic.countInput(hello, 'claude-haiku-4-5'), 14);
  const tool = {
    name: 'get_weather',
    description: 'Get the current weather in a given location',
    input_schema: {
      type: 'object',
      properties: { location: { type: 'string', description: 'The city and state, e.g. San Francisco, CA' } },
      required: ['location'],
    },
  };
  const question = [{ role: 'user', content: "What's the weather like in San Francisco?" }];
  about(await anthropic.countInput({ tools: [tool], messages: question }, 'claude-haiku-4-5'), 403);
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png(1_000, 750) + 'A'.repeat(100_000) } };
  const pdf = { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'A'.repeat(100_000) } };
  expect(await anthropic.countInput({ messages: [{ role: 'user', content: [image, pdf] }] }, null)).toBe(1_000 + 7);
  const result = [{ type: 'tool_result', tool_use_id: 'x', content: [{ type: 'text', text: 'Fog' }, image] }];
  expect(await anthropic.countInput({ messages: [{ role: 'user', content: result }] }, null)).toBeGreaterThan(1_007);
});

test("newer models of Anthropic's make 1.3 times as many tokens of a text", async () => {
  const text = 'Nobody in the warehouse noticed the second invoice. '.repeat(100);
  const older = await anthropic.countTokens(text, 'claude-opus-4-1');
  for (const model of ['claude-opus-4-7', 'claude-opus-4-8', 'claude-opus-5', 'claude-sonnet-5', 'claude-fable-5'])
    expect((await anthropic.countTokens(text, model)) / older).toBeCloseTo(1.3, 2);
  for (const model of ['claude-haiku-4-5', 'claude-sonnet-4-6', 'claude-opus-4-20250514', 'claude-3-opus-20240229', null])
    expect(await anthropic.countTokens(text, model)).toBe(older);
});

test('a request that is odd all through is counted without an error', async () => {
  const deep = 5_000;
  const lists = JSON.parse('['.repeat(deep) + ']'.repeat(deep));
  const nest = JSON.parse(`${'[{"content":{"properties":{"a":'.repeat(deep)}1${'}}}]'.repeat(deep)}`);
  const odd = [null, 5, 'x', [], {}, [null], [{ role: 5, content: 7, tool_calls: [null, 4] }], lists, nest];
  for (const value of odd) {
    const request = {
      messages: value,
      input: value,
      prompt: value,
      instructions: value,
      system: value,
      tools: value,
      response_format: value,
    };
    for (const provider of [openai, anthropic]) {
      for (const one of [request, { ...request, messages: undefined }, { ...request, messages: undefined, prompt: undefined }])
        expect(await provider.countInput(one, null)).toBeGreaterThanOrEqual(0);
    }
  }
});

test('a million short texts take no longer than one long one, and others have their turn', async () => {
  await openai.countInput({ prompt: 'warm' }, 'gpt-3.5-turbo-instruct');
  let turns = 0;
  const others = setInterval(() => (turns += 1), 1);
  const tokens = await openai.countInput({ prompt: Array.from({ length: 1_000_000 }, () => 'owl') }, 'gpt-3.5-turbo-instruct');
  clearInterval(others);
  expect(turns).toBeGreaterThan(5);
  expect(tokens / 1_000_000).toBeCloseTo(1, 1);
});

test('lines of nothing but slashes, which o200k takes for one word, are counted in turns as short as those of other texts', async () => {
  const tookMs = async (text: string) => {
    const before = cpuMs();
    await openai.countTokens(text, 'gpt-4o');
    return cpuMs() - before;
  };
  // Irregular, or the library would remember it.
  const lines = Array.from({ length: 131_072 }, (_, i) => (i % 7 === 0 && i % 11 < 5 ? '\n' : '/\n'));
  const words = Array.from({ length: 43_690 }, (_, i) => `${i} ab `);
  await tookMs('warm');
  const usual = await tookMs(words.join(''));
  expect(await tookMs(`!${lines.join('')}`)).toBeLessThan(20 * usual);
});

test('a text that was counted is not kept', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const heldBytes = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  await openai.countTokens('warm', 'gpt-4o');
  const before = heldBytes();
  // As a body comes: each with a word of its own that the encoding does not have.
  for (let i = 0; i < 12; i += 1) {
    const body = JSON.stringify({ text: `${'wqzjxkvqy'.repeat(i + 1)} ${'hello world '.repeat(200_000)}` });
    await openai.countTokens((JSON.parse(body) as { text: string }).text, 'gpt-4o');
  }
  expect((heldBytes() - before) / 1_048_576).toBeLessThan(8);
});

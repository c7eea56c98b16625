/**
 * What is asked and answered in the rig of estimates, with what the provider would bill for it. For OpenAI that is its own encoding's
 * tokens, the marks around messages as its cookbook documents them, and tools as gpt-tokenizer (not our code) renders them. Anthropic
 * publishes no tokenizer, so its truth is a stand-in: what o200k counts, times what was measured for the kind of text, times 1.3 for
 * the models of which its guide says that they make so many more.
 */
import type { ProviderId } from '@synthstack/core';
import * as cl100k from 'gpt-tokenizer/encoding/cl100k_base';
import * as o200k from 'gpt-tokenizer/encoding/o200k_base';
import { type ChatCompletionFunctionDefinition, type ChatMessage, computeChatCompletionTokenCount } from 'gpt-tokenizer/functionCalling';
import { createRandom, type Random } from './random.ts';
import { type TextKind, textKinds, write } from './texts.ts';

export interface Dialogue {
  provider: ProviderId;
  path: string;
  json: Record<string, unknown>;
  group: string;
  kind: TextKind;
  inputTokens: number;
  /** The answer as it comes: an event each, and how many tokens have been written with it. The first ones may hold none. */
  events: { text: string; tokens: number }[];
}

type Encoding = typeof cl100k | typeof o200k;

interface Model {
  model: string;
  encoding: Encoding;
  /** For Anthropic's stand-in. */
  newer?: boolean;
}
const chatModels: readonly Model[] = [
  ...['gpt-4o', 'gpt-4o-mini', 'gpt-4.1', 'gpt-4.1-mini', 'gpt-5', 'gpt-5-mini', 'o3'].map((model) => ({ model, encoding: o200k })),
  ...['gpt-4', 'gpt-4-turbo', 'gpt-3.5-turbo'].map((model) => ({ model, encoding: cl100k })),
];
const responseModels = chatModels.filter(({ encoding }) => encoding === o200k);
const claudes: readonly Model[] = [
  { model: 'claude-haiku-4-5', encoding: o200k },
  { model: 'claude-3-opus-20240229', encoding: o200k },
  { model: 'claude-opus-4-8', encoding: o200k, newer: true },
];

const count = (encoding: Encoding, text: string): number =>
  text === '' ? 0 : encoding.countTokens(text, { disallowedSpecial: new Set() });

/** The dialogue of a seed: prompts of 10 to 5,000 tokens, answers of 5 to 1,500, each length as likely as its double. */
export function dialogueOf(seed: number): Dialogue {
  const random = createRandom(seed);
  const part = random.next();
  if (part < 0.45) return chat(random);
  if (part < 0.65) return response(random);
  return part < 0.72 ? completion(random) : message(random);
}

const between = (random: Random, low: number, high: number): number => Math.round(low * (high / low) ** random.next());
const promptCharacters = (random: Random): number => between(random, 30, 18_000);
const answerCharacters = (random: Random): number => between(random, 20, 6_000);

// OpenAI

function chat(random: Random): Dialogue {
  const { model, encoding } = random.pick(chatModels);
  const kind = random.pick(textKinds);
  const messages = conversation(random, kind);
  const functions = random.chance(0.25) ? tools(random) : [];
  const callsTool = functions.length > 0 && random.chance(0.6);
  const inputTokens = chatTokens(encoding, messages, functions);
  const chunk = (delta: object) =>
    `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', model, choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`;
  const head = { text: chunk({ role: 'assistant', content: callsTool ? null : '' }), tokens: 0 };
  const words = answer(random, encoding, callsTool ? 'JSON' : kind);
  const name = functions[0]?.name ?? '';
  const called = callsTool
    ? [
        {
          text: chunk({ tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name, arguments: '' } }] }),
          tokens: count(encoding, name),
        },
      ]
    : [];
  const toDelta = (text: string) => (callsTool ? { tool_calls: [{ index: 0, function: { arguments: text } }] } : { content: text });
  return {
    provider: 'openai',
    path: '/v1/chat/completions',
    json: {
      model,
      stream: true,
      messages: messages.map((one) => (random.chance(0.1) ? { ...one, content: [{ type: 'text', text: one.content }] } : one)),
      ...(functions.length > 0 && { tools: functions.map((fn) => ({ type: 'function', function: fn })) }),
    },
    group: encoding === o200k ? 'chat, o200k' : 'chat, cl100k',
    kind,
    inputTokens,
    events: summed([head, ...called, ...words.map(({ text, tokens }) => ({ text: chunk(toDelta(text)), tokens }))]),
  };
}

const chatTokens = (encoding: Encoding, messages: readonly ChatMessage[], functions: readonly ChatCompletionFunctionDefinition[]): number =>
  computeChatCompletionTokenCount({ messages, ...(functions.length > 0 && { functions }) }, (text) => count(encoding, text));

function conversation(random: Random, kind: TextKind): ChatMessage[] {
  const parts = random.int(1, 7);
  const characters = promptCharacters(random) / parts;
  const content = () => write(random, kind, Math.max(8, Math.round(characters * (0.5 + random.next()))));
  const messages: ChatMessage[] = Array.from({ length: parts }, (_, i) => ({
    role: (parts - i) % 2 === 1 ? 'user' : 'assistant',
    content: content(),
  }));
  if (random.chance(0.5)) messages.unshift({ role: 'system', content: write(random, 'English', 120) });
  const [first] = messages;
  if (first && random.chance(0.1)) first.name = 'example_user';
  return messages;
}

function tools(random: Random): ChatCompletionFunctionDefinition[] {
  return Array.from({ length: random.int(1, 5) }, (_, i) => ({
    name: `${random.pick(['get_weather', 'find_invoice', 'send_mail', 'search', 'convert'])}_${i}`,
    description: write(random, 'English', random.int(30, 160)),
    parameters: {
      type: 'object' as const,
      properties: {
        location: { type: 'string' as const, description: write(random, 'English', random.int(20, 90)) },
        ...(random.chance(0.6) && {
          unit: { type: 'string' as const, description: 'The unit to answer in', enum: ['celsius', 'fahrenheit', 'kelvin'] },
        }),
        ...(random.chance(0.5) && { limit: { type: 'integer' as const, description: write(random, 'English', 40) } }),
        ...(random.chance(0.3) && { urgent: { type: 'boolean' as const, description: 'Whether it cannot wait' } }),
      },
      required: ['location'],
    },
  }));
}

function response(random: Random): Dialogue {
  const { model, encoding } = random.pick(responseModels);
  const kind = random.pick(textKinds);
  const messages = conversation(random, kind);
  const instructions = messages[0]?.role === 'system' ? messages[0].content : undefined;
  const rest = instructions === undefined ? messages : messages.slice(1);
  const single = rest.length === 1 && !rest[0]?.name && random.chance(0.7);
  const functions = random.chance(0.2) ? tools(random) : [];
  const event = (type: string, body: object) => `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: 1, ...body })}\n\n`;
  const begun = { id: 'resp_1', object: 'response', status: 'in_progress', model, output: [], usage: null };
  const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };
  const head = [
    event('response.created', { response: begun }),
    event('response.content_part.added', { ...place, part: { type: 'output_text', text: '', annotations: [] } }),
  ];
  return {
    provider: 'openai',
    path: '/v1/responses',
    json: {
      model,
      stream: true,
      input: single
        ? rest[0]?.content
        : rest.map(({ role, content }) => ({
            role,
            content: [{ type: role === 'assistant' ? 'output_text' : 'input_text', text: content }],
          })),
      ...(instructions !== undefined && { instructions }),
      ...(functions.length > 0 && { tools: functions.map((fn) => ({ type: 'function', ...fn })) }),
    },
    group: 'responses, o200k',
    kind,
    inputTokens: chatTokens(
      encoding,
      messages.map(({ name: _, ...one }) => one),
      functions,
    ),
    events: summed([
      ...head.map((text) => ({ text, tokens: 0 })),
      ...answer(random, encoding, kind).map(({ text, tokens }) => ({
        text: event('response.output_text.delta', { ...place, delta: text, logprobs: [] }),
        tokens,
      })),
    ]),
  };
}

function completion(random: Random): Dialogue {
  const kind = random.pick(textKinds);
  const model = 'gpt-3.5-turbo-instruct';
  const prompt = write(random, kind, promptCharacters(random));
  const chunk = (text: string) =>
    `data: ${JSON.stringify({ id: 'cmpl-1', object: 'text_completion', model, choices: [{ text, index: 0, finish_reason: null }] })}\n\n`;
  return {
    ...{ provider: 'openai', path: '/v1/completions', kind, group: 'completions, cl100k' },
    json: { model, stream: true, prompt },
    inputTokens: count(cl100k, prompt),
    events: summed(answer(random, cl100k, kind).map(({ text, tokens }) => ({ text: chunk(text), tokens }))),
  };
}

// Anthropic

/** How many tokens Claude was measured to make of what o200k makes one of; nobody has published it for the other kinds. */
const measured: Readonly<Partial<Record<TextKind, number>>> = { English: 1.16, emoji: 1.16, code: 1.3, JSON: 1.3 };
export const isMeasured = (kind: TextKind): boolean => measured[kind] !== undefined;
const unmeasured = 1.2;
const newerModels = 1.3;

function message(random: Random): Dialogue {
  const { model, encoding, newer } = random.pick(claudes);
  const kind = random.pick(textKinds);
  const messages = conversation(random, kind).filter(({ role }) => role !== 'system');
  const callsTool = random.chance(0.15);
  const written = callsTool ? 'JSON' : kind;
  const factor = (measured[written] ?? unmeasured) * (newer ? newerModels : 1);
  const inputTokens = 10 + messages.reduce((sum, { content }) => sum + Math.round(count(encoding, content) * factor), 0);
  const event = (type: string, body: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;
  const start = { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], stop_reason: null, stop_sequence: null };
  const block = callsTool ? { type: 'tool_use', id: 'toolu_1', name: 'search', input: {} } : { type: 'text', text: '' };
  const delta = (text: string) => (callsTool ? { type: 'input_json_delta', partial_json: text } : { type: 'text_delta', text });
  const words = answer(random, encoding, callsTool ? 'JSON' : kind);
  return {
    ...{ provider: 'anthropic', path: '/v1/messages', kind: written, group: 'messages (a stand-in)', inputTokens },
    json: { model, max_tokens: 4_096, stream: true, messages: messages.map(({ role, content }) => ({ role, content })) },
    events: [
      { text: event('message_start', { message: { ...start, usage: { input_tokens: inputTokens, output_tokens: 1 } } }), tokens: 0 },
      { text: event('content_block_start', { index: 0, content_block: block }), tokens: 0 },
      ...summed(
        words.map(({ text, tokens }) => ({
          text: event('content_block_delta', { index: 0, delta: delta(text) }),
          tokens: tokens * factor,
        })),
      ),
    ],
  };
}

// Answers

/** The answer's text in the pieces in which a model writes it: one to four tokens each, cut only between letters. */
function answer(random: Random, encoding: Encoding, kind: TextKind): { text: string; tokens: number }[] {
  const tokens = encoding.encode(write(random, kind, answerCharacters(random)), { disallowedSpecial: new Set() });
  const pieces: { text: string; tokens: number }[] = [];
  for (let at = 0; at < tokens.length; ) {
    let size = random.pick([1, 1, 1, 2, 4]);
    // A letter of several bytes may be several tokens: until it is whole, the provider keeps it back.
    while (at + size < tokens.length && encoding.decode(tokens.slice(at, at + size)).includes('\ufffd')) size += 1;
    const taken = tokens.slice(at, at + size);
    pieces.push({ text: encoding.decode(taken), tokens: taken.length });
    at += size;
  }
  return pieces;
}

function summed(events: readonly { text: string; tokens: number }[]): Dialogue['events'] {
  let sum = 0;
  return events.map(({ text, tokens }) => {
    sum += tokens;
    return { text, tokens: sum };
  });
}

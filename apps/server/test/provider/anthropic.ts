/** Anthropic's API as it answers: routes, versions, what it refuses, and the good answers with their usage. */
import { decode, type Json, parse } from './json.ts';
import { anthropicModels, anthropicSnapshot } from './models.ts';
import type { Answer, Call, Iteration, Plan, Truth } from './script.ts';
import { anthropicError } from './states.ts';
import { countInput, settleTruth, write } from './text.ts';

const versions = new Set(['2023-06-01', '2026-10-21']);
const json200 = { status: 200, contentType: 'application/json' };

export function refuse(status: number, type: string, message: string): Plan {
  return {
    status,
    contentType: 'application/json',
    headers: { 'x-should-retry': 'false' },
    body: Buffer.from(anthropicError(type, message)),
  };
}
const invalid = (message: string) => refuse(400, 'invalid_request_error', message);

function ok(value: unknown): Plan {
  return { ...json200, body: Buffer.from(JSON.stringify(value)) };
}

export function anthropic(call: Call): Plan {
  const { method, path } = call;
  const version = call.headers['anthropic-version'];
  const posted = path === '/v1/messages' || path === '/v1/messages/count_tokens';
  const models = path === '/v1/models' || path.startsWith('/v1/models/');
  if (!posted && !models) return refuse(404, 'not_found_error', 'Not Found');
  if (method !== (posted ? 'POST' : 'GET')) return refuse(405, 'invalid_request_error', 'Method Not Allowed');
  if (version === undefined) return invalid('anthropic-version: header is required');
  if (typeof version !== 'string' || !versions.has(version)) return invalid(`anthropic-version: "${version}" is not a valid version`);
  if (models) return path === '/v1/models' ? listModels(call) : oneModel(call);

  const json = parse(call.body);
  if (!json) return invalid('The request body is not valid JSON: unexpected character: line 1 column 1 (char 0)');
  const refused = refusal(call, json, version);
  if (refused) return refused;
  const model = anthropicSnapshot(String(json.model));
  if (!model || call.how.lacks?.includes(model) || call.how.lacks?.includes(String(json.model))) {
    return refuse(404, 'not_found_error', `model: ${json.model}`);
  }
  const inputTokens = countInput(json.system, json.messages, json.tools) + 3;
  if (path.endsWith('/count_tokens')) return ok({ input_tokens: call.how.usage?.inputTokens ?? inputTokens });
  return messages(call, json, model, inputTokens);
}

const shared = 'model messages system tools tool_choice thinking output_config cache_control speed';
const known = {
  count: new Set(shared.split(' ')),
  create: new Set(
    `${shared} max_tokens metadata stop_sequences stream service_tier container diagnostics inference_geo user_profile_id workspace_id`.split(
      ' ',
    ),
  ),
};
const sampling = new Set(['temperature', 'top_p', 'top_k']);

function refusal(call: Call, json: Json, version: string): Plan | undefined {
  const create = call.path === '/v1/messages';
  const names = create ? known.create : known.count;
  for (const name in json) {
    // Beta headers open fields of their own; 2023-06-01 still takes sampling parameters.
    if (names.has(name) || (sampling.has(name) ? version === '2023-06-01' && create : call.headers['anthropic-beta'] !== undefined))
      continue;
    return invalid(`${name}: Extra inputs are not permitted`);
  }
  for (const name of create ? ['model', 'max_tokens', 'messages'] : ['model', 'messages']) {
    if (json[name] === undefined) return invalid(`${name}: Field required`);
  }
  if (typeof json.model !== 'string') return invalid('model: Input should be a valid string');
  if (!Array.isArray(json.messages)) return invalid('messages: Input should be a valid list');
  if (json.messages.length === 0) return invalid('messages: at least one message is required');
  if (!create) return undefined;
  if (typeof json.max_tokens !== 'number' || !Number.isInteger(json.max_tokens))
    return invalid('max_tokens: Input should be a valid integer');
  if (json.max_tokens < 1) return invalid('max_tokens: Input should be greater than or equal to 1');
  const budget = (json.thinking as Json | undefined)?.budget_tokens;
  if (typeof budget === 'number' && budget >= json.max_tokens)
    return invalid('`max_tokens` must be greater than `thinking.budget_tokens`.');
  return undefined;
}

function messages(call: Call, json: Json, model: string, inputTokens: number): Plan {
  const out = write(call.how, call.defaultText, json.max_tokens as number);
  const { top, truth, iterations } = account(call.how, inputTokens, out.tokens);
  call.truth(truth);
  const stop_reason = out.cut ? 'max_tokens' : 'end_turn';
  const head = {
    id: call.id('msg_01'),
    type: 'message',
    role: 'assistant',
    model,
    content: [] as unknown[],
    stop_reason: null as string | null,
    stop_sequence: null,
    stop_details: null,
    container: null,
  };
  const input = {
    input_tokens: top.inputTokens - top.cachedInputTokens - top.cacheWriteTokens,
    cache_creation_input_tokens: top.cacheWriteTokens,
    cache_read_input_tokens: top.cachedInputTokens,
  };
  const created = { ephemeral_5m_input_tokens: top.cacheWriteTokens, ephemeral_1h_input_tokens: 0 };
  const usage = (output_tokens: number) => ({
    ...input,
    cache_creation: created,
    output_tokens,
    service_tier: 'standard',
    inference_geo: 'global',
  });
  const extra = {
    ...(iterations ? { iterations } : {}),
    ...(top.reasoningTokens > 0 ? { output_tokens_details: { thinking_tokens: top.reasoningTokens } } : {}),
  };
  if (json.stream !== true) {
    return ok({ ...head, content: [{ type: 'text', text: out.text }], stop_reason, usage: { ...usage(top.outputTokens), ...extra } });
  }
  const event = (type: string, body: Json) => `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;
  const delta = (text: string) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } });
  const events = [
    event('message_start', { message: { ...head, usage: usage(Math.min(1, top.outputTokens)) } }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    event('ping', {}),
    ...out.pieces.map(delta),
    event('content_block_stop', { index: 0 }),
    event('message_delta', {
      delta: { stop_reason, stop_sequence: null, stop_details: null, container: null },
      usage: { ...input, output_tokens: top.outputTokens, ...extra },
    }),
    event('message_stop', {}),
  ];
  return { status: 200, contentType: 'text/event-stream; charset=utf-8', events, filler: delta, fillAt: 3 };
}

/** The top level of usage, and the truth: with iterations the top level counts the messages only, what is billed is their sum. */
function account(how: Answer, inputTokens: number, outputTokens: number): { top: Truth; truth: Truth; iterations?: Json[] } {
  const top = settleTruth(how, { inputTokens, outputTokens });
  if (!how.iterations) return { top, truth: top };
  const sum = (list: readonly Iteration[]): Truth => {
    const of = (name: 'inputTokens' | 'cachedInputTokens' | 'cacheWriteTokens' | 'outputTokens') =>
      list.reduce((total, it) => total + (it[name] ?? 0), 0);
    const input = of('inputTokens');
    const output = of('outputTokens');
    return {
      inputTokens: input,
      cachedInputTokens: of('cachedInputTokens'),
      cacheWriteTokens: of('cacheWriteTokens'),
      outputTokens: output,
      reasoningTokens: 0,
      totalTokens: input + output,
    };
  };
  const iterations = how.iterations.map((it) => ({
    type: it.type,
    input_tokens: (it.inputTokens ?? 0) - (it.cachedInputTokens ?? 0) - (it.cacheWriteTokens ?? 0),
    cache_creation_input_tokens: it.cacheWriteTokens ?? 0,
    cache_read_input_tokens: it.cachedInputTokens ?? 0,
    output_tokens: it.outputTokens ?? 0,
  }));
  return { top: sum(how.iterations.filter(({ type }) => type === 'message')), truth: sum(how.iterations), iterations };
}

function listModels(call: Call): Plan {
  const query = new URLSearchParams(call.query);
  const limit = Number(query.get('limit') ?? 20);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) return invalid('limit: Input should be between 1 and 1000');
  const all = [...anthropicModels.values()].filter(({ id }) => !call.how.lacks?.includes(id));
  const [after, before] = [query.get('after_id'), query.get('before_id')];
  const place = (id: string) => all.findIndex((model) => model.id === id);
  const end = before ? place(before) : all.length;
  const start = before ? Math.max(0, end - limit) : after ? place(after) + 1 : 0;
  const data = all.slice(start, Math.min(end, start + limit));
  const has_more = before ? start > 0 : start + limit < all.length;
  return ok({ data, has_more, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null });
}

function oneModel(call: Call): Plan {
  const id = decode(call.path.slice('/v1/models/'.length));
  const model = anthropicModels.get(anthropicSnapshot(id) ?? '');
  if (!model || call.how.lacks?.includes(id) || call.how.lacks?.includes(model.id)) return refuse(404, 'not_found_error', `model: ${id}`);
  return ok(model);
}

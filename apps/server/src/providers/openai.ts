/** OpenAI: its keys, its routes, how its answers tell usage, and what its errors say about a key. */

import { countInput, countTokens } from './openai-tokens.ts';
import { createPrices } from './prices.ts';
import type { Outcome, Provider, Route, StreamReader, StreamVerdict, Usage, UsageReader, Windows } from './provider.ts';
import { count, eventType, type Fields, fields, isCount, isObject, keepText, list, parsed, text } from './reading.ts';
import { verdictOn } from './verdict.ts';

const prices = createPrices('openai', { cachedInput: 1, cacheWrite: 1, cacheWrite1h: 1 });

/** Named in our documentation, so they stay in the list although they are old. */
const documentedModels = ['gpt-4-turbo', 'gpt-4', 'gpt-3.5-turbo'];
const textModel = /^(gpt-\d|o\d)/;
/** Another medium, a snapshot, a variant for one task, or not to be had from OpenAI itself. */
const specialModel = /audio|realtime|image|transcribe|tts|vision|search|research|codex|chat|instruct|preview|32k|16k|:|-\d{4}|^gpt-3|ft-/;

/** As OpenAI's pages about each model have it. */
const windows: readonly [model: RegExp, Windows][] = [
  [/embedding/, { input: 300_000, output: 0 }],
  [/tts/, { input: 4_096, output: 65_536 }],
  [/transcribe/, { input: 65_536, output: 16_384 }],
  [/image/, { input: 131_072, output: 16_384 }],
  [/^(ft:)?gpt-3\.5/, { input: 16_385, output: 4_096 }],
  [/^(ft:)?gpt-4(-0\d{3})?$/, { input: 8_192, output: 8_192 }],
  [/^(ft:)?gpt-4-(turbo|\d{4}-preview|vision)/, { input: 128_000, output: 4_096 }],
  [/^(ft:)?gpt-4o/, { input: 128_000, output: 16_384 }],
  [/^(ft:)?gpt-4\.1/, { input: 1_047_576, output: 32_768 }],
  [/^(o1|o3|o4)/, { input: 200_000, output: 100_000 }],
  [/^gpt-5(-|$)/, { input: 400_000, output: 128_000 }],
];
const largest: Windows = { input: 1_100_000, output: 128_000 };

const isForPeople = (id: string): boolean => textModel.test(id) && !specialModel.test(id);

export const openai: Provider = {
  id: 'openai',
  name: 'OpenAI',
  keyFormat: 'sk-...',
  keysUrl: 'https://platform.openai.com/api-keys',
  keyPattern: /^sk-(?!ant-)/,
  credential: (key) => ({ authorization: `Bearer ${key.expose()}` }),
  ownHeaders: {},
  routes: openaiRoutes(),
  classify,
  classifyEvent(data) {
    // `{error: {...}}` on most routes; responses says it flat, or inside a failed response.
    const body = fields(parsed(data));
    const error = isObject(body.error) ? body.error : (fields(body.response).error ?? body);
    return classify(statusOf(fields(error)), { error });
  },
  errorShape: 'openai',
  sdkBase: '/v1',
  brokenOff: `data: ${JSON.stringify({ error: { message: 'The connection to OpenAI broke off.', type: 'server_error', param: null, code: 'upstream_reset' } })}\n\n`,
  check: async (ask) => verdictOn(openai, await ask({ method: 'GET', path: '/v1/models' })),
  price: prices.price,
  listed: prices.listed,
  countTokens,
  countInput,
  windows: (model) => windows.find(([pattern]) => pattern.test(model ?? ''))?.[1] ?? largest,
  models: [
    ...prices.textModels
      .filter((id) => isForPeople(id) && !documentedModels.includes(id))
      .sort((a, b) => Number(b.startsWith('gpt')) - Number(a.startsWith('gpt')) || b.localeCompare(a, 'en', { numeric: true })),
    ...documentedModels,
  ],
  isForPeople,
  priceList: prices,
  // The name of a trained model holds that of its owner.
  privateModel: /^ft:|:ft-/,
  modelList: { query: '', page: (data) => ({ object: 'list', data }) },
};

// Routes

function openaiRoutes(): readonly Route[] {
  const chat: UsageReader = { plain: plainUsage, stream: () => chunkStream(chatText) };
  const completions: UsageReader = { plain: plainUsage, stream: () => chunkStream(completionText) };
  const responses: UsageReader = { plain: plainUsage, stream: responsesStream };
  const embeddings: UsageReader = { plain: plainUsage, stream: () => mediaStream({}) };
  const images: UsageReader = { plain: (body) => plainUsage(body, imageTokens), stream: () => mediaStream(imageTokens) };
  const audio: UsageReader = { plain: plainUsage, stream: () => mediaStream({}) };
  // All that there are in version 7.57 of the SDK.
  const transcriptionFields = [
    ...['file', 'model', 'language', 'languages', 'prompt', 'keywords', 'response_format', 'temperature', 'stream', 'include'],
    ...['timestamp_granularities', 'chunking_strategy', 'known_speaker_names', 'known_speaker_references'],
  ];
  return [
    {
      method: 'POST',
      path: '/v1/chat/completions',
      stateless: true,
      body: 'json',
      usage: chat,
      outputCap: ['max_completion_tokens', 'max_tokens'],
      asksForUsage: true,
      keepsAnswers: true,
      endsByEvent: true,
    },
    {
      method: 'POST',
      path: '/v1/responses',
      stateless: true,
      body: 'json',
      usage: responses,
      outputCap: ['max_output_tokens'],
      keepsAnswers: true,
      endsByEvent: true,
    },
    { method: 'GET', path: '/v1/responses/{id}', stateless: false, body: 'none', usage: null },
    { method: 'DELETE', path: '/v1/responses/{id}', stateless: false, body: 'none', usage: null },
    { method: 'POST', path: '/v1/responses/{id}/cancel', stateless: false, body: 'none', usage: null },
    { method: 'GET', path: '/v1/responses/{id}/input_items', stateless: false, body: 'none', usage: null },
    { method: 'POST', path: '/v1/embeddings', stateless: true, body: 'json', usage: embeddings },
    {
      method: 'POST',
      path: '/v1/completions',
      stateless: true,
      body: 'json',
      usage: completions,
      outputCap: ['max_tokens'],
      asksForUsage: true,
      endsByEvent: true,
    },
    { method: 'POST', path: '/v1/moderations', stateless: true, body: 'json', usage: null, defaultModel: 'omni-moderation-latest' },
    // Of an image, the background is what stands behind it; of speech, the speed is how fast it is spoken.
    { method: 'POST', path: '/v1/images/generations', stateless: true, body: 'json', usage: images, harmless: ['background'] },
    { method: 'POST', path: '/v1/audio/speech', stateless: true, body: 'json', usage: audio, harmless: ['speed'] },
    { method: 'POST', path: '/v1/audio/transcriptions', stateless: true, body: 'multipart', usage: audio, formFields: transcriptionFields },
    { method: 'GET', path: '/v1/models', stateless: true, body: 'none', usage: null, tellsModels: 'all' },
    { method: 'GET', path: '/v1/models/{id}', stateless: true, body: 'none', usage: null, tellsModels: 'one' },
  ];
}

// Usage

/** Image tokens are priced apart only on the images route, and TokenCounts has one place for a dearer medium: audio's. */
interface Medium {
  input?: string;
  output?: string;
}
const audioTokens: Medium = { input: 'audio_tokens', output: 'audio_tokens' };
const imageTokens: Medium = { input: 'image_tokens', output: 'image_tokens' };

function plainUsage(body: unknown, medium: Medium = audioTokens): Usage | null {
  const { usage, model } = fields(body);
  return usageOf(usage, model, medium);
}

/** Chat says prompt and completion, responses says input and output, audio says `input_token_details`: one reader takes them all. */
function usageOf(usage: unknown, model: unknown, medium: Medium): Usage | null {
  const told = fields(usage);
  const input = told.prompt_tokens ?? told.input_tokens;
  const output = told.completion_tokens ?? told.output_tokens;
  if (!isCount(input) && !isCount(output)) return null;
  const inputs = fields(told.prompt_tokens_details ?? told.input_tokens_details ?? told.input_token_details);
  const outputs = fields(told.completion_tokens_details ?? told.output_tokens_details ?? told.output_token_details);
  return {
    model: typeof model === 'string' ? model : null,
    tokens: {
      input: count(input),
      cachedInput: count(inputs.cached_tokens),
      cacheWrite: count(inputs.cache_write_tokens),
      cacheWrite1h: 0,
      audioInput: count(inputs[medium.input ?? '']),
      output: count(output),
      reasoning: count(outputs.reasoning_tokens),
      audioOutput: count(outputs[medium.output ?? '']),
    },
    total: isCount(told.total_tokens) ? told.total_tokens : count(input) + count(output),
  };
}

// Streams

/** In text these quotes would be escaped, so they stand only around a key: no chunk is parsed that has no usage to tell. */
const tellsUsage = /"usage"\s*:\s*\{/;
const tellsError = /^\s*\{\s*"error"\s*:\s*[{"]/;

/** Chat and text completions: nameless chunks, `[DONE]` at the end. */
function chunkStream(textOf: (event: Fields) => string): StreamReader {
  const kept = keepText(textOf);
  let usage: Usage | null = null;
  return {
    event(name, data): StreamVerdict {
      if (data.startsWith('[DONE]')) return 'terminal';
      if (name === 'error' || tellsError.test(data)) return 'error';
      if (tellsUsage.test(data)) {
        const body = fields(parsed(data));
        usage = plainUsage(body) ?? usage;
        if (isObject(body.usage) && Array.isArray(body.choices) && body.choices.length === 0) return 'usage_only';
      }
      kept.keep(data);
      return 'pass';
    },
    usage: () => usage,
    text: kept.text,
  };
}

function chatText(event: Fields): string {
  let words = '';
  for (const choice of list(event.choices)) {
    const delta = fields(fields(choice).delta);
    words += text(delta.content) + text(delta.refusal);
    if (delta.audio) words += text(fields(delta.audio).transcript);
    for (const call of list(delta.tool_calls)) words += callText(fields(call).function);
    if (delta.function_call) words += callText(delta.function_call);
  }
  return words;
}

function callText(call: unknown): string {
  const { name, arguments: written } = fields(call);
  return text(name) + text(written);
}

function completionText(event: Fields): string {
  return list(event.choices)
    .map((choice) => text(fields(choice).text))
    .join('');
}

const lastOfResponse = /^response\.(completed|incomplete|failed)$/;

/** Responses: named events; the last one holds the whole response again. */
function responsesStream(): StreamReader {
  const kept = keepText((event) => text(event.delta));
  let usage: Usage | null = null;
  return {
    event(name, data): StreamVerdict {
      const type = eventType(name, data);
      if (type === 'error') return 'error';
      if (lastOfResponse.test(type)) {
        usage = plainUsage(fields(parsed(data)).response) ?? usage;
        return 'terminal';
      }
      if (type.endsWith('.delta') && type !== 'response.audio.delta') kept.keep(data);
      return 'pass';
    },
    usage: () => usage,
    text: kept.text,
  };
}

/** Images, speech, transcriptions: named events, one of which tells usage; the stream ends with its last byte. */
function mediaStream(medium: Medium): StreamReader {
  const kept = keepText((event) => text(event.delta));
  let usage: Usage | null = null;
  return {
    event(name, data): StreamVerdict {
      if (name === 'error' || tellsError.test(data)) return 'error';
      if (tellsUsage.test(data)) usage = plainUsage(parsed(data), medium) ?? usage;
      else if (name === 'transcript.text.delta') kept.keep(data);
      return 'pass';
    },
    usage: () => usage,
    text: kept.text,
  };
}

// Errors: DESIGN.md, "What came back on the user's key"

const badKeyCodes = new Set(['invalid_api_key', 'account_deactivated']);
const noCreditCodes = new Set([
  'insufficient_quota',
  'credit_balance_exhausted',
  'organization_spend_limit_exceeded',
  'project_spend_limit_exceeded',
  'organization_usage_limit_exceeded',
  'billing_not_active',
]);

function classify(status: number, body: unknown): Outcome {
  if (status >= 200 && status < 300) return 'ok';
  const error = fields(fields(body).error);
  const code = text(error.code);
  switch (status) {
    case 400:
      return code === 'billing_hard_limit_reached' ? 'no_credit' : 'refused';
    case 401:
      return badKeyCodes.has(code) ? 'bad_key' : 'not_allowed';
    case 402:
      return 'no_credit';
    case 403:
      return 'not_allowed';
    case 408:
      return 'down';
    case 429:
      return noCreditCodes.has(code) || error.type === 'insufficient_quota' ? 'no_credit' : 'rate_limited';
    default:
      return status >= 400 && status < 500 ? 'refused' : 'down';
  }
}

/** The status that OpenAI would have sent with this error, had the stream not begun. */
function statusOf(error: Fields): number {
  const code = text(error.code);
  if (badKeyCodes.has(code)) return 401;
  if (noCreditCodes.has(code) || error.type === 'insufficient_quota' || code.startsWith('rate_limit')) return 429;
  if (code === 'billing_hard_limit_reached' || error.type === 'invalid_request_error') return 400;
  return 500;
}

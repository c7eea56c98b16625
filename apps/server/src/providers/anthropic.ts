/** Anthropic: its keys, its routes, how its answers tell usage, and what its errors say about a key. */

import { countInput, countTokens } from './anthropic-tokens.ts';
import { createPrices } from './prices.ts';
import type { Ask, AskAnswer, CheckResult, Outcome, Provider, StreamReader, StreamVerdict, Usage } from './provider.ts';
import { count, eventType, type Fields, fields, isCount, isObject, keepText, list, parsed, text } from './reading.ts';
import { verdict, verdictOn } from './verdict.ts';

/** Anthropic's documented multiples of the input price, for models whose list entry lacks them. */
const prices = createPrices('anthropic', { cachedInput: 0.1, cacheWrite: 1.25, cacheWrite1h: 2 });

/** Named in our documentation, so they stay in the list although they are old. */
const documentedModels = ['claude-3-opus-20240229', 'claude-3-sonnet-20240229', 'claude-3-haiku-20240307'];
const currentModel = /^claude-[a-z]+-\d/;
const isForPeople = (id: string): boolean => currentModel.test(id);

/** The cheapest that is generally to be had: a check costs a few thousandths of a cent. */
const checkModel = 'claude-haiku-4-5';
const otherModelsTried = 3;

export const anthropic: Provider = {
  id: 'anthropic',
  name: 'Anthropic',
  keyFormat: 'sk-ant-...',
  keysUrl: 'https://console.anthropic.com/settings/keys',
  keyPattern: /^sk-ant-/,
  credential: (key) => ({ 'x-api-key': key.expose() }),
  ownHeaders: { 'anthropic-version': '2023-06-01' },
  marker: 'anthropic-version',
  routes: [
    {
      method: 'POST',
      path: '/v1/messages',
      stateless: true,
      body: 'json',
      usage: { plain: plainUsage, stream: messageStream },
      outputCap: ['max_tokens'],
      endsByEvent: true,
    },
    { method: 'POST', path: '/v1/messages/count_tokens', stateless: true, body: 'json', usage: null },
    { method: 'GET', path: '/v1/models', stateless: true, body: 'none', usage: null, tellsModels: 'all' },
    { method: 'GET', path: '/v1/models/{id}', stateless: true, body: 'none', usage: null, tellsModels: 'one' },
  ],
  classify,
  classifyEvent(data) {
    const body = fields(parsed(data));
    return classify(statusOf.get(text(fields(body.error).type)) ?? 500, body);
  },
  check,
  errorShape: 'anthropic',
  sdkBase: '',
  brokenOff: `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'api_error', message: 'The connection to Anthropic broke off.' } })}\n\n`,
  price: prices.price,
  listed: prices.listed,
  countTokens,
  countInput,
  // Anthropic wants every request to say the most that it may answer.
  windows: () => ({ input: 1_000_000, output: 128_000 }),
  models: [
    ...prices.textModels.filter(isForPeople).sort((a, b) => version(b).localeCompare(version(a), 'en', { numeric: true })),
    ...documentedModels,
  ],
  isForPeople,
  priceList: prices,
  modelList: {
    // The most that a page may hold; without it there are twenty.
    query: 'limit=1000',
    page: (data) => ({ data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }),
  },
};

function version(model: string): string {
  return model.replace(/^claude-[a-z]+-/, '');
}

// Check

/** One token of the cheapest model. An account that may not use it is asked for one that it may. */
async function check(ask: Ask): Promise<CheckResult> {
  const first = await ask(oneToken(checkModel));
  if (!isModelMissing(first)) return verdictOn(anthropic, first);

  const offered = await ask({ method: 'GET', path: '/v1/models' });
  if (classify(offered.status, offered.body) !== 'ok') return verdictOn(anthropic, offered);

  for (const model of cheapestFirst(offered.body).slice(0, otherModelsTried)) {
    const answer = await ask(oneToken(model));
    if (!isModelMissing(answer)) return verdictOn(anthropic, answer);
  }
  return verdict(anthropic, 'no_model');
}

const oneToken = (model: string) =>
  ({ method: 'POST', path: '/v1/messages', body: { model, max_tokens: 1, messages: [{ role: 'user', content: 'Hi' }] } }) as const;

/** A 404 of another shape means that not Anthropic's API answered. */
const isModelMissing = ({ status, body }: AskAnswer): boolean => status === 404 && fields(fields(body).error).type === 'not_found_error';

function cheapestFirst(body: unknown): string[] {
  return list(fields(body).data)
    .map(fields)
    .filter((model) => model.lifecycle !== 'retired')
    .map((model) => text(model.id))
    .filter((id) => id !== '' && id !== checkModel)
    .map((id) => ({ id, cost: prices.price(id)?.input ?? (id.includes('haiku') ? 1e12 : 2e12) }))
    .sort((a, b) => a.cost - b.cost)
    .map(({ id }) => id);
}

// Usage

function plainUsage(body: unknown): Usage | null {
  const { usage, model } = fields(body);
  return usageOf(fields(usage), model);
}

/**
 * Anthropic counts cached input beside the input, not inside it. Where it lists iterations (server-side tools, compaction) their
 * sum is what it bills; the top level then leaves some of them out, so it is not added to them.
 */
function usageOf(told: Fields, model: unknown): Usage | null {
  if (!isCount(told.input_tokens) && !isCount(told.output_tokens)) return null;
  const iterations = list(told.iterations).filter(isObject);
  const parts = iterations.length > 0 ? iterations : [told];
  const tokens = { input: 0, cachedInput: 0, cacheWrite: 0, cacheWrite1h: 0, audioInput: 0, output: 0, reasoning: 0, audioOutput: 0 };
  for (const part of parts) {
    const cached = count(part.cache_read_input_tokens);
    const lifetimes = fields(part.cache_creation);
    const hour = count(lifetimes.ephemeral_1h_input_tokens);
    const written = isCount(part.cache_creation_input_tokens)
      ? part.cache_creation_input_tokens
      : hour + count(lifetimes.ephemeral_5m_input_tokens);
    tokens.input += count(part.input_tokens) + cached + written;
    tokens.cachedInput += cached;
    tokens.cacheWrite += written;
    tokens.cacheWrite1h += Math.min(hour, written);
    tokens.output += count(part.output_tokens);
  }
  tokens.reasoning = Math.min(count(fields(told.output_tokens_details).thinking_tokens), tokens.output);
  return { model: typeof model === 'string' ? model : null, tokens, total: tokens.input + tokens.output };
}

// Stream

/** `message_start` tells the input, each `message_delta` the sums so far, in which what it leaves out stays as it was. */
function messageStream(): StreamReader {
  const kept = keepText(deltaText);
  let told: Fields = {};
  let model: unknown = null;

  function learn(usage: unknown): void {
    for (const [name, value] of Object.entries(fields(usage))) {
      if (value !== null && value !== undefined) told[name] = value;
    }
  }

  return {
    event(name, data): StreamVerdict {
      switch (eventType(name, data)) {
        case 'content_block_delta':
          kept.keep(data);
          return 'pass';
        case 'message_start': {
          const message = fields(fields(parsed(data)).message);
          told = {};
          model = message.model;
          learn(message.usage);
          return 'pass';
        }
        case 'message_delta':
          learn(fields(parsed(data)).usage);
          return 'pass';
        case 'message_stop':
          return 'terminal';
        case 'error':
          return 'error';
        default:
          return 'pass';
      }
    },
    usage: () => usageOf(told, model),
    text: kept.text,
  };
}

function deltaText(event: Fields): string {
  const delta = fields(event.delta);
  return text(delta.text) + text(delta.partial_json) + text(delta.thinking);
}

// Errors: DESIGN.md, "What came back on the user's key"

const spendLimitCodes = new Set(['enforced_spend_limit_reached', 'contract_spend_limit_reached']);
const noCreditMessage =
  /^(Your credit balance is too low|You have reached your specified API usage limits|You have reached your specified workspace API usage limits)/;

function classify(status: number, body: unknown): Outcome {
  if (status >= 200 && status < 300) return 'ok';
  const error = fields(fields(body).error);
  switch (status) {
    case 400:
      return noCreditMessage.test(text(error.message)) ? 'no_credit' : 'refused';
    case 401:
      return error.type === 'authentication_error' ? 'bad_key' : 'not_allowed';
    case 402:
      return 'no_credit';
    case 403:
      return 'not_allowed';
    case 408:
      return 'down';
    case 429:
      return spendLimitCodes.has(text(fields(error.details).error_code)) ? 'no_credit' : 'rate_limited';
    default:
      return status >= 400 && status < 500 ? 'refused' : 'down';
  }
}

/** The status that belongs to an error's type, for errors inside a stream. */
const statusOf: ReadonlyMap<string, number> = new Map([
  ['invalid_request_error', 400],
  ['authentication_error', 401],
  ['billing_error', 402],
  ['permission_error', 403],
  ['not_found_error', 404],
  ['request_too_large', 413],
  ['rate_limit_error', 429],
  ['api_error', 500],
  ['timeout_error', 504],
  ['overloaded_error', 529],
]);

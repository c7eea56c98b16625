/**
 * What a request on an own key may cost at most, before anybody has answered it: for hard budgets. It errs towards more, since what is set aside
 * comes back once the real cost is known.
 */
import type { ModelPrice, TokenPrices } from '@synthstack/core';
import { isObject } from '../providers/reading.ts';
import { type AiRequest, modelOf } from './request.ts';

type Asked = Pick<AiRequest, 'provider' | 'route' | 'json' | 'body'>;

/** What providers put around a request, such as Anthropic's prompt for tools. */
const aroundTokens = 1_000;
/** Counting is right within some percent (docs/development.md, "estimates"). */
const countedMargin = 1.25;
const mostNanoUsd = 2e15;

/** Without counting: no byte of a text is more than a token. @returns nano-USD */
export function worstCost(asked: Asked, price: ModelPrice): number {
  const { body, provider } = asked;
  const { input } = provider.windows(modelOf(asked));
  const tokens = holdsItAll(asked) ? Math.min(input, (body?.length ?? 0) + aroundTokens) : input;
  return costOf(tokens, outputTokens(asked), price);
}

/** The same with the input counted, which takes milliseconds: for what is left at the end of a budget. */
export async function countedCost(asked: Asked, price: ModelPrice): Promise<number> {
  const { provider, route, json } = asked;
  if (route.body !== 'json' || !holdsItAll(asked)) return worstCost(asked, price);
  const counted = await provider.countInput(json, modelOf(asked));
  return Math.min(worstCost(asked, price), costOf(counted * countedMargin + aroundTokens, outputTokens(asked), price));
}

/** The largest output that the request allows, of all answers that it asks for. */
function outputTokens(asked: Asked): number {
  const { provider, route, json } = asked;
  const caps = (route.outputCap ?? []).map((field) => json?.[field]).filter((cap) => typeof cap === 'number');
  const each = caps.length > 0 ? Math.max(0, ...caps) : provider.windows(modelOf(asked)).output;
  const answers = [json?.n, json?.best_of].filter((many) => typeof many === 'number');
  return each * Math.max(1, ...answers) * promptsIn(json?.prompt);
}

/** Several prompts are several answers; a list of numbers is one. */
const promptsIn = (prompt: unknown): number => (Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1);

/** What a request may name that its provider fetches, or what it has done before: none of it is among the request's bytes. */
const namesOthers = ['_id"', '_url"', '"url"', '"conversation"', '"container"', '"mcp_servers"', '"item_reference"'];

function holdsItAll({ body, route, json }: Asked): boolean {
  if (!body || route.body !== 'json') return true;
  if (isObject(json?.prompt)) return false;
  const tools = Array.isArray(json?.tools) ? json.tools : [];
  // What a tool of the provider's own finds, the model reads.
  if (tools.some((tool) => isObject(tool) && tool.type !== undefined && tool.type !== 'function' && tool.type !== 'custom')) return false;
  return !namesOthers.some((name) => body.includes(name));
}

function costOf(input: number, output: number, price: ModelPrice): number {
  const possible = [price, ...price.tiers.filter(({ aboveInputTokens }) => aboveInputTokens < input)];
  const dearest = (rate: (prices: TokenPrices) => number) => Math.max(...possible.map(rate));
  const perInput = dearest((one) => Math.max(one.input, one.cachedInput, one.cacheWrite, one.cacheWrite1h, one.audioInput));
  const perOutput = dearest((one) => Math.max(one.output, one.audioOutput));
  return Math.min(mostNanoUsd, Math.ceil((input * perInput + output * perOutput) / 1_000));
}

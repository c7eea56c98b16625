/**
 * What a request on an own key may cost at most, before anybody has answered it: for hard budgets. It errs towards more, since what is set aside
 * comes back once the real cost is known.
 */
import type { ModelPrice, TokenPrices } from '@synthstack/core';
import { type BeyondBytes, beyondBytes } from './beyond-bytes.ts';
import { type AiRequest, modelOf } from './request.ts';

type Asked = Pick<AiRequest, 'provider' | 'route' | 'json' | 'body'>;

/** What providers put around a request, such as Anthropic's prompt for tools. */
const aroundTokens = 1_000;
/** Counting is right within some percent (docs/development.md, "estimates"). */
const countedMargin = 1.25;
/** Above what Anthropic's guide to vision says of the largest image. */
const imageTokens = 5_000;
const mostNanoUsd = 2e15;

/** Without counting: no byte of a text is more than a token. @returns nano-USD */
export function worstCost(asked: Asked, price: ModelPrice): number {
  const { body, provider } = asked;
  const { input } = provider.windows(modelOf(asked));
  const { isBoundless, images } = beyond(asked);
  const tokens = isBoundless ? input : Math.min(input, (body?.length ?? 0) + images * imageTokens + aroundTokens);
  return costOf(tokens, outputTokens(asked), price);
}

/** The same with the input counted, which takes milliseconds: for what is left at the end of a budget. */
export async function countedCost(asked: Asked, price: ModelPrice): Promise<number> {
  const { provider, route, json } = asked;
  const { isBoundless, images } = beyond(asked);
  if (route.body !== 'json' || isBoundless) return worstCost(asked, price);
  const counted = await provider.countInput(json, modelOf(asked));
  const tokens = counted * countedMargin + images * imageTokens + aroundTokens;
  return Math.min(worstCost(asked, price), costOf(tokens, outputTokens(asked), price));
}

const beyond = ({ route, json }: Asked): BeyondBytes => (route.body === 'json' ? beyondBytes(json) : { isBoundless: false, images: 0 });

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

function costOf(input: number, output: number, price: ModelPrice): number {
  const possible = [price, ...price.tiers.filter(({ aboveInputTokens }) => aboveInputTokens < input)];
  const dearest = (rate: (prices: TokenPrices) => number) => Math.max(...possible.map(rate));
  const perInput = dearest((one) => Math.max(one.input, one.cachedInput, one.cacheWrite, one.cacheWrite1h, one.audioInput));
  const perOutput = dearest((one) => Math.max(one.output, one.audioOutput));
  const most = Math.ceil((input * perInput + output * perOutput) / 1_000);
  // A caller's numbers may make none: 1e999 answers of no length.
  return Number.isNaN(most) ? mostNanoUsd : Math.min(mostNanoUsd, most);
}

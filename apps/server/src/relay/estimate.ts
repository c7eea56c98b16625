/**
 * Usage of an answer that nobody told: counted from the request and the answer's text after the stream was cut. OpenAI's tokens
 * are counted by its tokenizer, Anthropic's, which publishes none, by a factor.
 */
import { noTokens } from '@synthstack/core';
import type { Provider, Usage } from '../providers/provider.ts';

export interface Cut {
  provider: Provider;
  model: string | null;
  request: Record<string, unknown> | null;
  /** What the stream had told before it was cut, such as Anthropic's input. */
  told: Usage | null;
  /** The text that passed. */
  text: string;
}

export async function estimateUsage({ provider, model, request, told, text }: Cut): Promise<Usage> {
  const name = told?.model ?? model;
  const input = told ? told.tokens.input : await provider.countInput(request, name);
  const counted = text === '' ? 0 : await provider.countTokens(text, name);
  const output = Math.max(told?.tokens.output ?? 0, counted);
  const tokens = { ...(told?.tokens ?? noTokens), input, output };
  return { model: name, tokens, total: input + output };
}

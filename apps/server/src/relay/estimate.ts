/**
 * Usage of an answer that nobody told: counted from the request's and the answer's text after the stream was cut. OpenAI's tokens
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
  const input = told ? told.tokens.input : await provider.countTokens(textOf(request), name);
  const counted = text === '' ? 0 : await provider.countTokens(text, name);
  const output = Math.max(told?.tokens.output ?? 0, counted);
  const tokens = { ...(told?.tokens ?? noTokens), input, output };
  return { model: name, tokens, total: input + output };
}

/** Every string that the provider turns into input tokens; names of roles and types stand for the marks around messages. */
function textOf(request: Record<string, unknown> | null): string {
  const parts: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value === 'string') parts.push(isBinary(value) ? '' : value);
    else if (Array.isArray(value)) value.forEach(walk);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk);
  };
  for (const field of ['system', 'instructions', 'messages', 'input', 'prompt', 'tools']) walk(request?.[field]);
  return parts.join('\n');
}

/** Images, files and sounds inside JSON: their tokens are not those of their letters. */
const isBinary = (text: string): boolean => /^data:[^,]{0,200};base64,/.test(text) || (text.length > 1_000 && /^[\w+/=-]{1000}/.test(text));

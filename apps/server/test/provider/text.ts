/** Text and its tokens. One token is four characters, so that every count can be recomputed by hand. */
import type { Answer, Truth } from './script.ts';

const words = ['key', 'for', 'the', 'sea', 'and', 'one', 'day', 'sky', 'map', 'ten', 'ink', 'owl'];
const greetings = [
  'Hello! How can I help you today?',
  'Sure, here is a short answer.',
  'Of course. Your keys stay yours.',
  'Good day! What shall we build?',
];

export function greeting(seed: number): string {
  return greetings[Math.abs(seed) % greetings.length] ?? 'Hello!';
}

export function tokensOf(text: string): string[] {
  return text.match(/[\s\S]{1,4}/gu) ?? [];
}

function filler(tokens: number): string {
  return Array.from({ length: tokens }, (_, i) => ` ${words[i % words.length]}`).join('');
}

export interface Written {
  text: string;
  pieces: string[];
  tokens: number;
  /** The output limit cut it. */
  cut: boolean;
}

/** The answer's text, cut at the caller's output limit, in the pieces in which it streams. */
export function write(how: Answer, defaultText: string, limit: number | undefined): Written {
  const wanted = how.tokens ?? (how.text === undefined ? how.chunks : undefined);
  let tokens = tokensOf(how.text ?? (wanted === undefined ? defaultText : filler(wanted)));
  const cut = limit !== undefined && tokens.length > limit;
  if (cut) tokens = tokens.slice(0, limit);
  const pieces = how.chunks === undefined || how.chunks >= tokens.length ? tokens : group(tokens, how.chunks);
  return { text: tokens.join(''), pieces, tokens: tokens.length, cut };
}

function group(tokens: string[], chunks: number): string[] {
  const size = Math.ceil(tokens.length / Math.max(1, chunks));
  const pieces: string[] = [];
  for (let i = 0; i < tokens.length; i += size) pieces.push(tokens.slice(i, i + size).join(''));
  return pieces;
}

const silentKeys = new Set([
  'type',
  'role',
  'url',
  'image_url',
  'data',
  'media_type',
  'cache_control',
  'id',
  'tool_use_id',
  'tool_call_id',
  'detail',
]);

/** A plausible count of what a model would read: characters / 4, plus 4 a message. */
export function countInput(...parts: unknown[]): number {
  let characters = 0;
  let messages = 0;
  const walk = (value: unknown): void => {
    if (typeof value === 'string') characters += value.length;
    else if (typeof value === 'number') characters += 4;
    else if (Array.isArray(value)) for (const item of value) walk(item);
    else if (typeof value === 'object' && value !== null) {
      if ('role' in value) messages += 1;
      for (const [key, inner] of Object.entries(value)) if (!silentKeys.has(key)) walk(inner);
    }
  };
  for (const part of parts) walk(part);
  return Math.ceil(characters / 4) + messages * 4;
}

/** The truth of an answer: what was measured, with what the script replaces, consistent in itself. */
export function settleTruth(how: Answer, measured: { inputTokens: number; outputTokens: number }): Truth {
  const u = how.usage ?? {};
  const cachedInputTokens = u.cachedInputTokens ?? 0;
  const cacheWriteTokens = u.cacheWriteTokens ?? 0;
  const reasoningTokens = u.reasoningTokens ?? 0;
  const inputTokens = u.inputTokens ?? measured.inputTokens + cachedInputTokens + cacheWriteTokens;
  const outputTokens = u.outputTokens ?? measured.outputTokens + reasoningTokens;
  return {
    inputTokens,
    cachedInputTokens,
    cacheWriteTokens,
    outputTokens,
    reasoningTokens,
    totalTokens: u.totalTokens ?? inputTokens + outputTokens,
  };
}

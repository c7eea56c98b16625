/** How an agent speaks through each provider: the official SDKs, set up with the gateway's own `fetch`, so that nothing here knows a key. */
import { type ProviderId, takesTemperature } from '@synthstack/core';
import type { Fetch } from './relay/fetch.ts';

export interface Turn {
  role: 'user' | 'assistant';
  content: string;
}

export interface Speech {
  model: string;
  system: string;
  turns: readonly Turn[];
  /** null: the model's own. */
  temperature: number | null;
  fetch: Fetch;
  signal: AbortSignal;
}

export interface Speaker {
  /** The text as it comes. Returns whether the model reached the most that it may say. @throws whatever the SDK throws */
  speak(speech: Speech): AsyncGenerator<string, { cut: boolean }>;
  /** How many tokens of earlier conversation go along with a question: what the model has room for, and what is worth its price. */
  historyTokens(model: string): number;
}

/** Nobody is there: requests are handed to `fetch`. */
const nowhere = 'http://gateway.invalid';
const placeholder = 'none';
/** The gateway has limits of its own on how long an answer may take. */
const timeoutMs = 86_400_000;
const usualHistory = 24_000;

const openai: Speaker = {
  async *speak({ model, system, turns, temperature, fetch, signal }) {
    // Loaded when somebody asks: a server starts without them, and commands never need them.
    const { OpenAI } = await import('openai');
    const client = new OpenAI({
      ...{ apiKey: placeholder, organization: null, project: null, baseURL: `${nowhere}/v1` },
      ...{ fetch, maxRetries: 0, logLevel: 'off', timeout: timeoutMs },
    });
    const messages = [{ role: 'system' as const, content: system }, ...turns];
    const heat = temperature !== null && takesTemperature(model) ? { temperature } : {};
    const chunks = await client.chat.completions.create({ model, messages, stream: true, ...heat }, { signal });
    let cut = false;
    for await (const { choices } of chunks) {
      const [choice] = choices;
      // What a model refuses to say it says in a field of its own.
      const text = `${choice?.delta?.content ?? ''}${choice?.delta?.refusal ?? ''}`;
      if (text !== '') yield text;
      if (choice?.finish_reason === 'length') cut = true;
    }
    return { cut };
  },
  historyTokens(model) {
    if (/^gpt-4(-\d{4}|$)/.test(model)) return 4_000;
    return /^gpt-3/.test(model) ? 8_000 : usualHistory;
  },
};

const anthropic: Speaker = {
  async *speak({ model, system, turns, fetch, signal }) {
    const { Anthropic } = await import('@anthropic-ai/sdk');
    const client = new Anthropic({ apiKey: placeholder, baseURL: nowhere, fetch, maxRetries: 0, logLevel: 'off', timeout: timeoutMs });
    const request = { model, system, messages: [...turns], max_tokens: mostOutput(model), stream: true as const };
    let cut = false;
    for await (const event of await client.messages.create(request, { signal })) {
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') yield event.delta.text;
      if (event.type === 'message_delta' && event.delta.stop_reason === 'max_tokens') cut = true;
      // All is there: the connection need not be waited for.
      if (event.type === 'message_stop') break;
    }
    return { cut };
  },
  historyTokens: () => usualHistory,
};

/** Anthropic wants to be told; older models refuse more than they can. */
function mostOutput(model: string): number {
  if (/^claude-3-(opus|sonnet|haiku)/.test(model)) return 4_096;
  return /^claude-3/.test(model) ? 8_192 : 32_000;
}

export const speakers: Readonly<Record<ProviderId, Speaker>> = { openai, anthropic };

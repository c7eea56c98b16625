/** The same question to either provider, plain or streaming, as a person's program sends it through the gateway. */
import type { ProviderId } from '@synthstack/core';
import type { Person, TestApp } from './app.ts';

export interface Asking {
  provider: ProviderId;
  stream: boolean;
}

export const askings: readonly (Asking & { name: string })[] = (['openai', 'anthropic'] as const).flatMap((provider) =>
  [false, true].map((stream) => ({ name: `${provider}, ${stream ? 'streaming' : 'plain'}`, provider, stream })),
);

const messages = [{ role: 'user', content: 'Say hello' }];

export const pathOf = (provider: ProviderId): string => (provider === 'openai' ? '/v1/chat/completions' : '/v1/messages');

export function bodyOf({ provider, stream }: Asking): Record<string, unknown> {
  const json = provider === 'openai' ? { model: 'gpt-4o-mini', messages } : { model: 'claude-haiku-4-5', max_tokens: 200, messages };
  return { ...json, ...(stream && { stream }) };
}

export function ask(app: TestApp, who: Person, asking: Asking, init: RequestInit = {}): Promise<Response> {
  return app.fetch(who, pathOf(asking.provider), {
    signal: init.signal ?? null,
    json: bodyOf(asking),
    headers: asking.provider === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {},
  });
}

/** The answer as far as it comes: its text, and whether its connection broke. */
export async function readAll(res: Response): Promise<{ text: string; broke: boolean }> {
  const chunks: Uint8Array[] = [];
  let broke = false;
  try {
    for await (const chunk of res.body ?? []) chunks.push(chunk);
  } catch {
    broke = true;
  }
  return { text: Buffer.concat(chunks).toString('utf8'), broke };
}

/** The code of an error of ours, in the shape of the provider's route. */
export function codeIn(provider: ProviderId, text: string): unknown {
  const { error } = JSON.parse(text) as { error: { code?: string; details?: { error_code?: string } } };
  return provider === 'openai' ? error.code : error.details?.error_code;
}

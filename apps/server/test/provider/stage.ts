/** What the scripted provider's own tests share: a stage with both official SDKs pointed at it. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { type ProviderOptions, type ReceivedRequest, type ScriptedProvider, startProvider } from '../provider.ts';

export const openaiKey = 'sk-good-000000000000';
export const anthropicKey = 'sk-ant-good-000000000000';
export const hello = [{ role: 'user' as const, content: 'hello' }];
export const chat = { model: 'gpt-4o-mini', messages: hello };
export const message = { model: 'claude-haiku-4-5', max_tokens: 100, messages: hello };

export async function stage(options: ProviderOptions = {}) {
  const provider = await startProvider({
    openai: { keys: { [openaiKey]: 'good' } },
    anthropic: { keys: { [anthropicKey]: 'good' } },
    ...options,
  });
  const quiet = { maxRetries: 0, logLevel: 'off' as const, timeout: 20_000 };
  const openai = new OpenAI({ apiKey: openaiKey, baseURL: provider.openaiUrl, ...quiet });
  const anthropic = new Anthropic({ apiKey: anthropicKey, baseURL: provider.anthropicUrl, ...quiet });
  return { provider, openai, anthropic, [Symbol.asyncDispose]: () => provider.close() };
}

export async function failure(promise: PromiseLike<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

export async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of stream) list.push(one);
  return list;
}

export function post(provider: ScriptedProvider, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const credential = path.startsWith('/v1/messages')
    ? { 'x-api-key': anthropicKey, 'anthropic-version': '2023-06-01' }
    : { authorization: `Bearer ${openaiKey}` };
  const init = { 'content-type': 'application/json', ...credential, ...headers };
  return fetch(provider.url + path, {
    method: 'POST',
    redirect: 'manual',
    headers: init,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

export function last(provider: ScriptedProvider): ReceivedRequest {
  const seen = provider.requests.at(-1);
  if (!seen) throw new Error('nothing arrived');
  return seen;
}

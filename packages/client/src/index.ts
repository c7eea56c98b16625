/** A SynthStack BYOK server, as other programs use it: its procedures, typed, and the official SDKs through its gateway. */
import type Anthropic from '@anthropic-ai/sdk';
import type { ClientOptions as AnthropicOptions } from '@anthropic-ai/sdk';
import { createTRPCClient, httpLink, type TRPCClient, TRPCClientError } from '@trpc/client';
import type OpenAI from 'openai';
import type { ClientOptions as OpenAIOptions } from 'openai';
import type { AppRouter } from './router.ts';

export type { AppRouter };

export interface ByokOptions {
  /** Where the server is: its PUBLIC_URL, such as https://byok.example.com. */
  url: string;
  /** An access token (`byok_...`). The SDKs need the scope `gateway`, `api` the scope `manage`; a JWT of the server does for both. */
  token: string;
  /** In place of the global `fetch`, for `api` alone; the SDKs have an option of their own. */
  fetch?: typeof fetch;
}

export interface Byok {
  /** The server's procedures: `await byok.api.keys.list.query()`. They reject with a `ByokError`. */
  api: TRPCClient<AppRouter>;
  /**
   * OpenAI's official client, which asks through the gateway. Needs the package `openai`.
   * @param options  its own; address and credential are the gateway's
   */
  openai(options?: Omit<OpenAIOptions, 'apiKey' | 'baseURL'>): Promise<OpenAI>;
  /** Anthropic's official client, the same way. Needs the package `@anthropic-ai/sdk`. */
  anthropic(options?: Omit<AnthropicOptions, 'apiKey' | 'authToken' | 'baseURL'>): Promise<Anthropic>;
}

/** What a procedure rejects with: `data.code` is the server's code (`not_found`), `message` a sentence for people. */
export const ByokError: typeof TRPCClientError<AppRouter> = TRPCClientError;
export type ByokError = TRPCClientError<AppRouter>;

/** @throws TypeError: no address of a server, or no token. It never repeats the token. */
export function createByok({ url, token, fetch: ownFetch }: ByokOptions): Byok {
  const origin = originOf(url);
  // Headers would put a bad one into its error.
  if (typeof token !== 'string' || !/^[\x21-\x7e]{8,8192}$/.test(token)) throw new TypeError('token: an access token, such as byok_...');
  const send = ownFetch ?? globalThis.fetch;
  return {
    api: createTRPCClient<AppRouter>({
      links: [
        httpLink({
          url: `${origin}/trpc`,
          headers: { authorization: `Bearer ${token}` },
          fetch: (input, init) => send(input as string, { ...(init as RequestInit), ...noRedirect }),
        }),
      ],
    }),
    async openai(options = {}) {
      const { default: Client } = await installed('openai', () => import('openai'));
      // What the environment holds for OpenAI itself is not the gateway's business.
      const nothingElse = { adminAPIKey: null, organization: null, project: null, webhookSecret: null };
      return new Client({ ...nothingElse, ...options, ...nowhereElse(options), apiKey: token, baseURL: `${origin}/v1` });
    },
    async anthropic(options = {}) {
      const { default: Client } = await installed('@anthropic-ai/sdk', () => import('@anthropic-ai/sdk'));
      return new Client({ webhookKey: null, ...options, ...nowhereElse(options), apiKey: token, authToken: null, baseURL: origin });
    },
  };
}

/** The server has no other address; whoever sends elsewhere is not asking for our good, and `x-api-key` would go along. */
const noRedirect = { redirect: 'error' } as const;
const nowhereElse = <Given extends object>({ fetchOptions }: { fetchOptions?: Given | undefined }) => ({
  fetchOptions: { ...fetchOptions, ...noRedirect },
});

/** SDKs are told addresses with /v1 behind; whoever has one at hand means the server in front of it. */
function originOf(url: string): string {
  const parsed = URL.parse(url);
  const path = parsed?.pathname.replace(/\/+$/, '');
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.username !== '' || (path !== '' && path !== '/v1'))
    throw new TypeError('url: where the server is, such as https://byok.example.com.');
  return parsed.origin;
}

async function installed<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (cause) {
    throw new Error(`The package ${name} cannot be loaded. Install it beside @synthstack/client: npm install ${name}`, { cause });
  }
}

/** What the house needs to know of an upstream API. One file a provider implements it; nothing else may tell providers apart. */
import type { KeyStatus, ModelPrice, ProviderId, TokenCounts } from '@synthstack/core';
import type { Secret } from '@synthstack/core/secret';
import type { Prices } from './prices.ts';

export interface Provider {
  id: ProviderId;
  name: string;
  /** As people know it: `sk-...`. */
  keyFormat: string;
  /** Where people make a key. */
  keysUrl: string;
  keyPattern: RegExp;
  /** The headers that carry the credential, set last. */
  credential(key: Secret): Record<string, string>;
  /** Headers that every request of ours (not of a client's) needs. */
  ownHeaders: Record<string, string>;
  /** A client that sends this header means this provider where a path belongs to both. */
  marker?: string;
  /** The shape of our own errors on this provider's routes. */
  errorShape: 'openai' | 'anthropic';
  /** How its SDK's base URL ends: the rest of a route's path is the SDK's own. */
  sdkBase: '/v1' | '';
  routes: readonly Route[];
  /** What an answer says about the key and the request, by DESIGN.md's tables. `body` is parsed JSON, or undefined. */
  classify(status: number, body: unknown): Outcome;
  /** The same for an `error` event inside a 2xx stream, which has no status of its own. */
  classifyEvent(data: string): Outcome;
  /** Asks the provider whether a key works; `ask` sends one request with that key. */
  check(ask: Ask): Promise<CheckResult>;
  /** The event that says that the provider broke off, in the words of its own stream errors, so that both SDKs raise one. */
  brokenOff: string;
  /** The prices of a model at a time (now, if none is given), memoised; null: unknown, which is not zero. */
  price(model: string, atMs?: number): ModelPrice | null;
  /** The price list's own name of a model, one of few, also for dated names; null: not in the list. */
  listed(model: string): string | null;
  /** How many tokens a text is, for estimates: exact where the provider publishes its tokenizer. */
  countTokens(text: string, model: string | null): Promise<number>;
  /** How many tokens a request's input is, for estimates: its texts, and what the provider puts around them. */
  countInput(request: Record<string, unknown> | null, model: string | null): Promise<number>;
  /** The most tokens that one request to a model may take in and give out; of a model that is not known, those of the largest. */
  windows(model: string | null): Windows;
  /** Priced text models, for people to look at, best known first. */
  models: readonly string[];
  /** Whether a model that the list does not have is one for people to choose, by its name. */
  isForPeople(model: string): boolean;
  /** The release's price list as a whole, and how one is read. */
  priceList: Pick<Prices, 'names' | 'periods' | 'read'>;
  modelList: ModelList;
  /** Models that belong to one account, such as what it has trained: on the platform's key only those that the operator names. */
  privateModel?: RegExp;
}

export interface Windows {
  input: number;
  output: number;
}

/** The provider's own list of models (`GET /v1/models`), whose entries stand in `data` and have an `id`. */
export interface ModelList {
  /** Asks for all of them at once. */
  query: string;
  /** The whole list as one page. */
  page(models: readonly ModelEntry[]): unknown;
}
export type ModelEntry = Readonly<Record<string, unknown>> & { id: string };

/**
 * ok: 2xx · bad_key: not authentic · no_credit: authentic, cannot pay · not_allowed: authentic, this is not allowed (401/403) ·
 * rate_limited: any other 429 · refused: the request is at fault (400, 404, 413, 422 and other 4xx) · down: 408, 5xx, 529, 3xx.
 */
export type Outcome = 'ok' | 'bad_key' | 'no_credit' | 'not_allowed' | 'rate_limited' | 'refused' | 'down';

export type Ask = (request: AskRequest) => Promise<AskAnswer>;
export interface AskRequest {
  method: 'GET' | 'POST';
  path: string;
  /** Without the question mark. */
  query?: string;
  body?: unknown;
}
export interface AskAnswer {
  status: number;
  headers?: Record<string, string | string[]>;
  /** Parsed JSON, or undefined where it was none. */
  body: unknown;
}

export interface CheckResult {
  status: Exclude<KeyStatus, 'unreadable'>;
  /** A sentence for the owner, from a fixed list: what it means and what to do. Never the provider's own text. */
  message: string;
  /** What stays written beside the key until its next check: the message if it asks the owner to do something, else null. */
  lastError: string | null;
}

export interface Route {
  method: 'GET' | 'POST' | 'DELETE';
  /** The full path; `{id}` stands for one checked segment. */
  path: string;
  /** Shares nothing with other requests, so that it may go out on the platform's key. */
  stateless: boolean;
  /** The body is JSON, multipart, or there is none. */
  body: 'json' | 'multipart' | 'none';
  /** How usage is read; null: the route has none, and is not metered as tokens. */
  usage: UsageReader | null;
  /** The top-level fields that cap the output, the first one is added where none is there. */
  outputCap?: readonly string[];
  /** The stream must be asked for its usage (OpenAI's chat and text completions). */
  asksForUsage?: boolean;
  /** The provider stores answers unless `store: false` says otherwise. */
  keepsAnswers?: boolean;
  /** A stream of this route is complete with its terminal event; otherwise with its last byte. */
  endsByEvent?: boolean;
  /** The model that answers where the request names none. */
  defaultModel?: string;
  /** Fields that elsewhere stand for state or a higher price, and here for something else. */
  harmless?: readonly string[];
  /** The fields of a form that may go out on the platform's key. */
  formFields?: readonly string[];
  /** It tells of models, all or one: on the platform's key we answer that ourselves. */
  tellsModels?: 'all' | 'one';
}

/** Reads the usage of one route's answers. All of it is lenient: what is not understood is passed over. */
export interface UsageReader {
  /** From a complete JSON answer; null: it names none. */
  plain(body: unknown): Usage | null;
  /** From a stream, event by event. */
  stream(): StreamReader;
}

export interface Usage {
  /** The model that answered, as the provider names it. */
  model: string | null;
  tokens: TokenCounts;
  /** As the provider bills it: OpenAI's total_tokens, Anthropic's sum. */
  total: number;
}

export interface StreamReader {
  /**
   * Looks at one event.
   * @param name  the `event:` field, or ''
   * @param data  the `data:` field; not parsed yet, so that a reader may pass over what it does not need
   */
  event(name: string, data: string): StreamVerdict;
  /** What is known so far; null: nothing yet. Before the terminal event the output may be only the beginning of it. */
  usage(): Usage | null;
  /** The text that passed, its first megabyte, for an estimate when the stream is cut. */
  text(): string;
}

/** terminal: with it the answer ends · usage_only: the event that only tells usage (INTERFACE.md, "Bodies") · error: the provider gave up in the stream. */
export type StreamVerdict = 'pass' | 'usage_only' | 'terminal' | 'error';

/** The words of the scripted provider: what a test may ask of it and what it keeps of each request. Types only, and how scripts resolve. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Gate } from './gate.ts';
import { anthropicStates, openaiStates, type Row, sharedStates, transportStates } from './states.ts';

export type ProviderId = 'openai' | 'anthropic';
export type StateName = keyof typeof openaiStates | keyof typeof anthropicStates | keyof typeof sharedStates | keyof typeof transportStates;
/** What a credential does from now on. */
export type KeyState = StateName;
export type Script = StateName | Answer;

/**
 * What one answer really cost, in one shape for both providers: `inputTokens` holds all input, cached and cache-write included (OpenAI's
 * `prompt_tokens`; Anthropic's `input_tokens` + `cache_read_input_tokens` + `cache_creation_input_tokens`); `outputTokens` holds the
 * reasoning; `totalTokens` is their sum. With Anthropic's `usage.iterations` all of it is the sum over the iterations.
 */
export interface Truth {
  inputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
  reasoningTokens: number;
  totalTokens: number;
}

export type Iteration = { type: 'message' | 'compaction' } & Partial<Omit<Truth, 'totalTokens' | 'reasoningTokens'>>;

/**
 * - `silent` never answers; `refuse` closes (FIN) and `reset` resets (RST) before the head
 * - `silent_after_head`, `reset_after_head`; `stall` sends `afterChunks` chunks, then nothing more, socket open
 * - `reset_mid_stream`, `reset_mid_event` (the cut goes through an event), `truncated` (fewer bytes than content-length; FIN without an end
 *   for a stream), `close_early`, `close_mid_event` (a clean end without the terminal event): after `afterChunks` chunks
 * - `endless` content events for ever; `long_line` one content event of `lineBytes`; `malformed` garbage between good events
 * - `error_event` an SSE `error` event in place of the next one (`afterChunks` 0: the first), its text from the row `error`
 */
export type Fault =
  | 'silent'
  | 'refuse'
  | 'reset'
  | 'silent_after_head'
  | 'reset_after_head'
  | 'stall'
  | 'reset_mid_stream'
  | 'reset_mid_event'
  | 'truncated'
  | 'close_early'
  | 'close_mid_event'
  | 'endless'
  | 'long_line'
  | 'malformed'
  | 'error_event';

export interface Answer {
  /** Start from this row of the tables in states.ts; the other fields refine it. */
  state?: StateName;
  /** Raw answer: replaces the row's (or the route's own) status, adds headers, replaces the body. */
  status?: number;
  headers?: Record<string, string>;
  body?: string | Buffer | object;
  /** Target of a redirect. */
  location?: string;
  /** Rows about credit, rates and content meet only inference routes, as in reality; `true` sends them on every route. */
  everywhere?: boolean;
  /** Models that this key may not see. */
  lacks?: readonly string[];
  /** The answer's text; or so many tokens of filler; cut into so many content chunks (default: one a token). */
  text?: string;
  tokens?: number;
  chunks?: number;
  /** Replaces parts of the measured truth; the answer's usage is derived from it. */
  usage?: Partial<Truth>;
  /** Anthropic's `usage.iterations`; the top level then sums the `message` ones only. */
  iterations?: readonly Iteration[];
  /** Waits before every chunk, and before the head. */
  chunkDelayMs?: number;
  firstByteDelayMs?: number;
  /** Byte by byte, each in a turn of its own. */
  drip?: boolean;
  /** CRLF line ends in the stream. */
  crlf?: boolean;
  /** Content-encoding, though identity was asked. */
  encoding?: 'gzip' | 'br';
  fault?: Fault;
  afterChunks?: number;
  lineBytes?: number;
  /** Row whose body becomes the event of `error_event`. */
  error?: StateName;
  gate?: Gate;
}

/** A request as it arrived, and how its answer ended. Byte-exact: `rawHeaders` is Node's own list. */
export interface ReceivedRequest {
  provider: ProviderId;
  method: string;
  path: string;
  query: string;
  rawHeaders: string[];
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** Milliseconds since the epoch at which the head arrived. */
  at: number;
  /** The credential that was presented. */
  key: string | undefined;
  status: number | undefined;
  truth: Truth | undefined;
  /** Chunks (SSE events) handed to the socket so far. */
  chunks: number;
  /** The client closed before the answer ended. */
  aborted: boolean;
  /** The answer was sent wholly. */
  ended: boolean;
  /** `ended`, `aborted` by the client, or `cut` by a scripted fault. */
  settled: Promise<'ended' | 'aborted' | 'cut'>;
}

/** What a provider's file needs to know of one call. */
export interface Call {
  method: string;
  path: string;
  query: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  key: string | undefined;
  how: Answer;
  /** Deterministic by seed and order. */
  id(prefix: string): string;
  created: number;
  defaultText: string;
  truth(truth: Truth): void;
}

/** An answer before transport: plain (`body`) or a stream (`events`); `filler` makes one more content event, valid at index `fillAt`. */
export interface Plan {
  status: number;
  contentType: string;
  headers?: Readonly<Record<string, string>>;
  body?: Buffer;
  events?: string[];
  filler?: (text: string) => string;
  fillAt?: number;
  /** What `error_event` sends. */
  errorEvent?: string;
}

/** The fragment that a transport state stands for, and the answer row that applies, if any. */
export function resolve(script: Script, provider: ProviderId): { how: Answer; row: Row | undefined } {
  const asked: Answer = typeof script === 'string' ? { state: script } : script;
  if (asked.state === undefined) return { how: asked, row: undefined };
  if (asked.state in transportStates) {
    const fragment: Answer = transportStates[asked.state as keyof typeof transportStates];
    return { how: { ...fragment, ...asked }, row: undefined };
  }
  return { how: asked, row: rowOf(asked.state, provider) };
}

export function rowOf(state: StateName, provider: ProviderId): Row | undefined {
  if (state in sharedStates) {
    const shared = sharedStates[state as keyof typeof sharedStates];
    if ('status' in shared) return shared;
    return provider === 'openai' ? openaiStates[shared.openai] : anthropicStates[shared.anthropic];
  }
  const rows: Record<string, Row> = provider === 'openai' ? openaiStates : anthropicStates;
  const row = rows[state];
  if (!row && state !== 'good') throw new Error(`The state '${state}' does not exist at ${provider}.`);
  return row;
}

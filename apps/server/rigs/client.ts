/** A client that can be told to leave at any moment, and that knows what of its answer it has had. */
import { type Agent, request } from 'node:http';
import type { ProviderId } from '@synthstack/core';

export interface Question {
  port: number;
  path: string;
  headers: Record<string, string>;
  body: string | Buffer;
  agent?: Agent;
}

export interface Listener {
  head?(status: number, requestId: string): void;
  /** All that has come so far ends with `chunk`. */
  data?(chunk: Buffer): void;
}

export interface Had {
  /** null: no head came. */
  status: number | null;
  requestId: string | null;
  source: string | null;
  isStream: boolean;
  body: Buffer;
  /** The answer came to its end, as HTTP sees it. */
  ended: boolean;
  /** It is complete as its reader sees it: a stream with its terminal event and the blank line after it, a plain one with its last byte. */
  complete: boolean;
}

export interface Asking {
  /** Closes the socket. */
  leave(): void;
  /** Never rejects: whatever ends it, it is over. */
  over: Promise<Had>;
}

/** At the end of what came so far, the terminal event of any route with the blank line that completes it. */
const terminal =
  /(?:^|\n)(?:data: ?\[DONE\]|event: ?message_stop\r?\ndata:[^\n]*|event: ?response\.(?:completed|incomplete|failed)\r?\ndata:[^\n]*)\r?\n\r?\n/;
export const isComplete = (body: Buffer): boolean => terminal.test(body.toString('latin1'));

export function ask({ port, path, headers, body, agent }: Question, listener: Listener = {}): Asking {
  const { promise, resolve } = Promise.withResolvers<Had>();
  const had: Had = { status: null, requestId: null, source: null, isStream: false, body: Buffer.alloc(0), ended: false, complete: false };
  const chunks: Buffer[] = [];
  let isOver = false;

  function finish(): void {
    if (isOver) return;
    isOver = true;
    had.body = Buffer.concat(chunks);
    had.complete = had.isStream ? isComplete(had.body) : had.ended;
    resolve(had);
  }

  const req = request({
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    ...(agent && { agent }),
  });
  req.on('error', finish);
  req.on('close', finish);
  req.on('response', (res) => {
    had.status = res.statusCode ?? null;
    had.requestId = String(res.headers['x-byok-request-id'] ?? '');
    had.source = String(res.headers['x-byok-key-source'] ?? '');
    had.isStream = String(res.headers['content-type']).startsWith('text/event-stream');
    listener.head?.(had.status ?? 0, had.requestId);
    res.on('data', (chunk: Buffer) => {
      if (isOver) return;
      chunks.push(chunk);
      listener.data?.(chunk);
    });
    res.on('end', () => {
      had.ended = res.complete;
      finish();
    });
    res.on('error', finish);
    res.on('close', finish);
  });
  req.end(body);

  return {
    leave() {
      finish();
      req.destroy();
    },
    over: promise,
  };
}

export const pathOf: Record<ProviderId, string> = { openai: '/v1/chat/completions', anthropic: '/v1/messages' };

export function headersFor(provider: ProviderId, token: string, tag: string): Record<string, string> {
  return {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    // Goes up as it is, so the provider can say of which request it speaks.
    'x-client-request-id': tag,
    ...(provider === 'anthropic' && { 'anthropic-version': '2023-06-01' }),
  };
}

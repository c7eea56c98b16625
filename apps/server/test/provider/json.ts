/** JSON in and out, and OpenAI's two plain shapes: an answer and a refusal. */
import type { Plan } from './script.ts';
import { openaiError } from './states.ts';

export type Json = Record<string, unknown>;
/** Responses by credential: what one key made, another cannot read. */
export type Stored = Map<string, Map<string, { response: Json; input: unknown }>>;

export function fail(status: number, message: string, code: string | null = null, param: string | null = null): Plan {
  return { status, contentType: 'application/json', body: Buffer.from(openaiError(message, 'invalid_request_error', code, param)) };
}

export function ok(value: unknown): Plan {
  return { status: 200, contentType: 'application/json', body: Buffer.from(JSON.stringify(value, null, 2)) };
}

export function parse(body: Buffer): Json | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

export function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A stage for tests of accounts: `createAuth` behind a real socket, and browsers that keep their cookies. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AppError } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { createKeyring } from '@synthstack/core/keyring';
import { Secret } from '@synthstack/core/secret';
import { type AuthParts, createAuth, hashPassword } from '../src/auth.ts';
import { type ManualClock, manualClock } from './clock.ts';

export const publicUrl = 'http://byok.test';
export const authSecret = 'c2f1d6a5e0b94b7f8a3d1e6c5b2a9f80';
export const password = 'correct horse battery';
let hash: Promise<string> | undefined;
/** Hashing costs 150 ms, so accounts whose password is not the subject share one. */
export const knownHash = async (): Promise<{ hash: string }> => {
  hash ??= hashPassword(password);
  return { hash: await hash };
};

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a browser gets has no type yet
  body: any;
}

export async function authStage(db: Db, options: Partial<AuthParts> & { clock?: ManualClock } = {}) {
  const clock = options.clock ?? manualClock();
  const errors: AppError[] = [];
  const onError = (error: AppError) => errors.push(error);
  const auth = createAuth({
    db,
    publicUrl,
    secret: new Secret(authSecret),
    keyring: createKeyring({ current: '7d1f0c93ab5e42866df9b0a1c7e83524f6a90bd2e1583c47690fadb3c5e81726' }),
    countSeal: async () => [],
    signUp: 'closed',
    rateLimit: false,
    onError,
    ...options,
    clock,
  });
  const server = createServer((req, res) => void auth.handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function request(path: string, init: RequestInit): Promise<Answer> {
    const response = await fetch(`${base}${path}`, { redirect: 'manual', ...init });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
  }

  return {
    ...{ auth, clock, errors, base, request },
    /** An account with the known password. */
    async person(name: string, role: 'user' | 'admin' = 'user'): Promise<{ userId: string; email: string }> {
      const email = `${name}@example.com`;
      return { ...(await auth.createUser({ email, name, role, password: await knownHash() })), email };
    },
    browser(origin: string = publicUrl) {
      const cookies = new Map<string, string>();
      async function send(path: string, init: RequestInit): Promise<Answer> {
        const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
        const headers = { origin, ...(cookie && { cookie }), ...(init.headers as Record<string, string>) };
        const answer = await request(path, { ...init, headers });
        for (const line of answer.headers.getSetCookie()) {
          const [pair = ''] = line.split(';');
          const name = pair.slice(0, pair.indexOf('='));
          if (/max-age=0/i.test(line)) cookies.delete(name);
          else cookies.set(name, pair.slice(name.length + 1));
        }
        return answer;
      }
      return {
        cookies,
        get: (path: string, headers: Record<string, string> = {}) => send(`/api/auth${path}`, { headers }),
        post: (path: string, body: unknown = {}, headers: Record<string, string> = {}) =>
          send(`/api/auth${path}`, {
            method: 'POST',
            body: typeof body === 'string' ? body : JSON.stringify(body),
            headers: { 'content-type': 'application/json', ...headers },
          }),
        get headers() {
          return { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') };
        },
      };
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

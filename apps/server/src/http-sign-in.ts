/** The two addresses of a sign-in elsewhere: a browser leaves by the one and comes back by the other. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError, toAppError } from '@synthstack/core';
import type { App } from './app.ts';
import type { Target } from './target.ts';

export interface SignInParts {
  addressOf(req: IncomingMessage): string;
  note(error: AppError): void;
}

const cookieName = 'byok_oidc';

export function createSignIn(app: App, { addressOf, note }: SignInParts) {
  const secure = app.config.publicUrl.startsWith('https:') ? '; Secure' : '';
  const setCookie = (value: string, maxAgeS: number) =>
    `${cookieName}=${value}; Path=/api/oidc; Max-Age=${maxAgeS}; HttpOnly; SameSite=Lax${secure}`;
  const go = (res: ServerResponse, location: string) => void res.writeHead(303, { location, 'cache-control': 'no-store' }).end();

  function configured() {
    if (!app.oidc) throw new AppError('not_found', 'There is no other sign-in here.');
    return app.oidc;
  }

  /** A browser stands before us, and not a program: what went wrong it reads on the sign-in page. */
  async function orBack(res: ServerResponse, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (thrown) {
      const error = toAppError(thrown);
      note(error);
      if (error.cause)
        app.log.warn({ code: error.code, cause: error.cause instanceof Error ? error.cause.message : null }, 'A sign-in elsewhere failed');
      go(res, `/sign-in?failed=${error.code}`);
    }
  }

  return {
    async start(_req: IncomingMessage, res: ServerResponse, { search }: Target): Promise<void> {
      const oidc = configured();
      await orBack(res, async () => {
        const { url, cookie } = await oidc.start(pathOf(new URLSearchParams(search).get('back')));
        res.setHeader('set-cookie', setCookie(cookie, 600));
        go(res, url);
      });
    },

    async finish(req: IncomingMessage, res: ServerResponse, { search }: Target): Promise<void> {
      const oidc = configured();
      res.setHeader('set-cookie', setCookie('', 0));
      await orBack(res, async () => {
        const { userId, back } = await oidc.finish(search, cookieOf(req));
        const from = { ip: addressOf(req), userAgent: req.headers['user-agent'] ?? '' };
        const session = await app.auth.openSession(userId, from);
        res.setHeader('set-cookie', [setCookie('', 0), ...session.headers.getSetCookie()]);
        go(res, back);
      });
    },
  };
}

/**
 * A path of our own pages, and never the address of somebody else's: `//evil.example`, `/\evil.example`, nor what becomes one once dots are
 * resolved, as of `/.//evil.example`.
 */
function pathOf(back: string | null): string {
  const url = back?.startsWith('/') ? URL.parse(back, 'http://here.invalid') : null;
  const isOurs = url?.origin === 'http://here.invalid' && !url.pathname.startsWith('//');
  return isOurs && back !== null && back.length < 1_000 ? url.pathname + url.search : '/';
}

function cookieOf({ headers }: IncomingMessage): string {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${cookieName}=`))?.slice(cookieName.length + 1) ?? '';
}

/** The one HTTP server: /v1/* to the gateway, /trpc, /api/v1, /api/auth, health, and the pages. */
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { AppError, toAppError, UsageRange } from '@synthstack/core';
import { nodeHTTPRequestHandler } from '@trpc/server/adapters/node-http';
import { docsPage, docsStyle } from './api/docs-page.ts';
import { handleRest, openApi, sendJson, sendProblem } from './api/rest.ts';
import { appRouter } from './api/router.ts';
import { appErrorOf, type Context, inputError } from './api/trpc.ts';
import type { App } from './app.ts';
import { createAddressOf } from './auth/address.ts';
import type { Caller } from './callers.ts';
import { loadPages } from './pages.ts';
import { type Target, targetOf } from './target.ts';

/** Paths that http.ts itself answers; with the procedures' doors, the providers' tables and auth's list, all there is. */
export const ownRoutes = [
  { method: 'GET', path: '/healthz', access: 'anyone' },
  { method: 'GET', path: '/readyz', access: 'anyone' },
  { method: 'GET', path: '/api/openapi.json', access: 'anyone' },
  { method: 'GET', path: '/api/docs', access: 'anyone' },
  { method: 'GET', path: '/api/docs.css', access: 'anyone' },
  { method: 'GET', path: '/api/v1/api-keys/usage.csv', access: 'user' },
] as const;

/** No inline script anywhere; Quasar sets element styles from script, which needs no exception, but style elements do. */
const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
};

export function createServer(app: App, webFolder: string): Server {
  const pages = loadPages(webFolder);
  const spec = openApi(app.config.version, app.config.publicUrl);
  const addressOf = createAddressOf(app.config.trustProxy);
  const publicOrigin = new URL(app.config.publicUrl).origin;

  /** Who calls a procedure: a bearer if there is one, else the page's cookie. */
  async function identify(req: IncomingMessage): Promise<Caller | null> {
    if (req.headers.authorization !== undefined || req.headers['x-api-key'] !== undefined) return app.callers.identify(req.headers);
    const caller = await app.callers.identifyPage(req.headers);
    if (caller && isForeign(req)) throw new AppError('forbidden', 'This request comes from another site.');
    return caller;
  }

  /** A browser names the origin of whatever may change something; ours is the only one that may ride on a cookie. */
  function isForeign(req: IncomingMessage): boolean {
    const { origin } = req.headers;
    if (origin === undefined) return req.headers['sec-fetch-site'] === 'cross-site';
    return origin !== publicOrigin && origin !== `http://${req.headers.host}` && origin !== `https://${req.headers.host}`;
  }

  function contextOf(req: IncomingMessage): Context {
    let identified: Promise<Caller | null> | undefined;
    return {
      app,
      address: addressOf(req),
      identify: () => {
        identified ??= identify(req);
        return identified;
      },
    };
  }

  async function sendCsv(req: IncomingMessage, res: ServerResponse, target: Target): Promise<void> {
    const caller = await identify(req);
    if (!caller) throw new AppError('unauthenticated', 'Sign in first, or send a token: Authorization: Bearer <token>.');
    if (!caller.scopes.includes('manage'))
      throw new AppError('forbidden', 'This token may only send AI requests. Make one with the scope "manage" for this.');
    const range = UsageRange.safeParse(Object.fromEntries(target.searchParams));
    if (!range.success) throw inputError(range.error);
    res.writeHead(200, {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="usage.csv"',
      'cache-control': 'no-store',
    });
    for await (const part of app.meter.exportCsv(caller.userId, range.data)) {
      if (res.destroyed) return;
      if (!res.write(part)) await new Promise((resolve) => res.once('drain', resolve).once('close', resolve));
    }
    res.end();
  }

  async function ready(): Promise<void> {
    if (app.draining) throw new AppError('draining', 'This server is shutting down.');
    await app.db.orm.select().from(app.db.tables.generation);
  }

  async function route(req: IncomingMessage, res: ServerResponse, target: Target): Promise<void> {
    const { pathname } = target;
    if (pathname.startsWith('/trpc/')) {
      return nodeHTTPRequestHandler({
        router: appRouter,
        req,
        res,
        path: pathname.slice('/trpc/'.length),
        createContext: () => contextOf(req),
        maxBodySize: 64 * 1_024,
        onError: ({ error }) => logInternal(appErrorOf(error)),
      });
    }
    if (pathname.startsWith('/api/auth/')) return app.auth.handle(req, res);
    switch (`${req.method} ${pathname}`) {
      case 'GET /healthz':
        return sendJson(res, 200, { status: 'ok' });
      case 'GET /readyz':
        await ready();
        return sendJson(res, 200, { status: 'ok' });
      case 'GET /api/openapi.json':
        return sendJson(res, 200, spec);
      case 'GET /api/docs':
        return void res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(docsPage(spec));
      case 'GET /api/docs.css':
        return void res.writeHead(200, { 'content-type': 'text/css' }).end(docsStyle);
      case 'GET /api/v1/api-keys/usage.csv':
        return sendCsv(req, res, target);
    }
    if (pathname.startsWith('/api/')) {
      if (!(await handleRest(req, res, target, contextOf(req))))
        throw new AppError('not_found', 'There is nothing at this address. /api/docs lists what there is.');
      return;
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') throw new AppError('method_not_allowed', 'Only GET is possible here.');
    pages.serve(req, res, pathname);
  }

  function logInternal(error: AppError): void {
    if (error.code === 'internal' || error.code === 'storage_unavailable') app.log.error({}, error.message, error.cause);
  }

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    // The raw path, never one that URL has tidied up: `/v1/../x` is an address of nothing.
    const target = targetOf(req.url ?? '/');
    if (target.pathname.startsWith('/v1/')) return app.gateway.handle(req, res, target);
    for (const [name, value] of Object.entries(securityHeaders)) res.setHeader(name, value);
    try {
      await route(req, res, target);
    } catch (thrown) {
      const error = toAppError(thrown);
      logInternal(error);
      if (res.headersSent) res.destroy();
      else sendProblem(res, error);
    }
  }

  const listener = (req: IncomingMessage, res: ServerResponse) => {
    handle(req, res).catch((error: unknown) => {
      app.log.error({}, 'A request failed in an unforeseen way', error);
      res.destroy();
    });
  };
  const options = { headersTimeout: 30_000, requestTimeout: 300_000, keepAliveTimeout: 65_000, maxHeaderSize: 32_768 };
  const { certFile, keyFile } = app.config.tls;
  if (!certFile || !keyFile) return createHttpServer(options, listener);
  return createHttpsServer({ ...options, cert: readFileSync(certFile), key: readFileSync(keyFile) }, listener);
}

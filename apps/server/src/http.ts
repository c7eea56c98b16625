/** The one HTTP server: /v1/* to the gateway, /trpc, /api/v1, /api/auth, health, and the pages. */
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { AdminUsageQuery, AppError, AuditExport, ConversationExport, ConversationRef, toAppError, UsageExport } from '@synthstack/core';
import { nodeHTTPRequestHandler } from '@trpc/server/adapters/node-http';
import { exportAccount } from './api/account-export.ts';
import { filterOf } from './api/admin-audit.ts';
import { sendAnswer } from './api/agents-stream.ts';
import { exportConversation } from './api/conversation-export.ts';
import { docsPage, docsStyle } from './api/docs-page.ts';
import { handleRest, idsIn, openApi, readQuery, sendJson, sendProblem } from './api/rest.ts';
import { appRouter, bodyLimit } from './api/router.ts';
import { sendParts } from './api/stream.ts';
import { admit, admitAdmin, admitPerson, appErrorOf, type Context, inputError } from './api/trpc.ts';
import type { App } from './app.ts';
import { createAddressOf } from './auth/address.ts';
import { isLoopback } from './base-url.ts';
import { readBytes } from './body.ts';
import { type Caller, credentialHeaders } from './callers.ts';
import { isMisaddressed } from './gateway-routes.ts';
import { ping } from './health.ts';
import { readCertificate, watchCertificate } from './http-certificate.ts';
import { createConnections } from './http-connections.ts';
import { createSignIn } from './http-sign-in.ts';
import { createScrapeAccess } from './metrics-access.ts';
import { loadPages } from './pages.ts';
import { type Target, targetOf } from './target.ts';

/** Paths that http.ts itself answers; with the procedures' doors, the providers' tables and auth's list, all there is. */
export const ownRoutes = [
  { method: 'GET', path: '/healthz', access: 'anyone' },
  { method: 'GET', path: '/readyz', access: 'anyone' },
  { method: 'GET', path: '/metrics', access: 'operator' },
  { method: 'GET', path: '/api/openapi.json', access: 'anyone' },
  { method: 'GET', path: '/api/docs', access: 'anyone' },
  { method: 'GET', path: '/api/docs.css', access: 'anyone' },
  { method: 'POST', path: '/api/billing/webhook', access: 'signed' },
  { method: 'GET', path: '/api/oidc/start', access: 'anyone' },
  { method: 'GET', path: '/api/oidc/callback', access: 'anyone' },
  { method: 'GET', path: '/api/v1/api-keys/usage.csv', access: 'user' },
  { method: 'GET', path: '/api/v1/admin/usage.csv', access: 'admin' },
  { method: 'POST', path: '/api/v1/agents/{slug}/messages', access: 'user' },
  { method: 'GET', path: '/api/v1/conversations/{id}/export', access: 'user' },
  { method: 'GET', path: '/api/v1/admin/audit/export', access: 'admin' },
  { method: 'GET', path: '/api/v1/account/export', access: 'person' },
] as const;
type OwnRoute = (typeof ownRoutes)[number];
/** @param ids  what stands in the path's `{places}` */
type Handler = (req: IncomingMessage, res: ServerResponse, target: Target, ids: Record<string, string>) => void | Promise<void>;

/** No inline script or style anywhere; what Quasar sets on elements from script needs no exception. */
const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
};

/** The largest event that is read; Stripe's own are below 256 KiB. */
const eventBytes = 512 * 1_024;

/** Hardly a client sends its next request before it has its answer. */
const mostPipelined = 16;

/** How long a client may take for the head of a request, and for all of it, in ms; every so often Node looks for those that took longer. */
export interface Patience {
  headersTimeout: number;
  requestTimeout: number;
  connectionsCheckingInterval: number;
}
const usualPatience: Patience = { headersTimeout: 30_000, requestTimeout: 300_000, connectionsCheckingInterval: 10_000 };

export function createServer(app: App, webFolder: string, patience = usualPatience): Server {
  const connections = createConnections();
  const pages = loadPages(webFolder);
  let description: ReturnType<typeof openApi> | undefined;
  /** Made when first asked for, so that a start need not wait for it. */
  const spec = () => (description ??= openApi(app.config.version, app.config.publicUrl));
  const addressOf = createAddressOf(app.config.trustProxy);
  const admitScraper = createScrapeAccess(app.config.metricsToken);
  const publicOrigin = new URL(app.config.publicUrl).origin;

  /** Who calls a procedure: a bearer if there is one, else the page's cookie. */
  async function identify(req: IncomingMessage): Promise<Caller | null> {
    if (req.headers.authorization !== undefined || req.headers['x-api-key'] !== undefined)
      return app.callers.identify(credentialHeaders(req));
    const caller = await app.callers.identifyPage(req.headers);
    if (caller && isForeign(req)) throw new AppError('forbidden', 'This request comes from another site.');
    return caller;
  }

  /** A browser names the origin of whatever may change something; only our own page may ride on its cookie. */
  function isForeign({ headers }: IncomingMessage): boolean {
    return headers.origin === undefined ? headers['sec-fetch-site'] === 'cross-site' : headers.origin !== publicOrigin;
  }

  function contextOf(req: IncomingMessage): Context {
    let identified: Promise<Caller | null> | undefined;
    return {
      app,
      address: addressOf(req),
      userAgent: req.headers['user-agent'] ?? '',
      identify: () => {
        identified ??= identify(req);
        return identified;
      },
    };
  }

  async function sendCsv(req: IncomingMessage, res: ServerResponse, target: Target): Promise<void> {
    const caller = admit(await identify(req));
    const query = UsageExport.safeParse(readQuery(UsageExport, target));
    if (!query.success) throw inputError(query.error);
    const rowsFrom = await app.meter.rowsFrom();
    res.writeHead(200, {
      ...(rowsFrom !== null && { 'x-byok-rows-from': rowsFrom }),
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="usage.csv"',
      'cache-control': 'no-store',
    });
    await sendParts(res, app.meter.exportCsv(caller.userId, query.data));
  }

  async function sendAudit(req: IncomingMessage, res: ServerResponse, target: Target): Promise<void> {
    admitAdmin(admit(await identify(req)));
    const query = AuditExport.safeParse(readQuery(AuditExport, target));
    if (!query.success) throw inputError(query.error);
    const { format, ...filters } = query.data;
    const filter = await filterOf(app, filters);
    res.writeHead(200, {
      'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/jsonl; charset=utf-8',
      'content-disposition': `attachment; filename="audit.${format}"`,
      'cache-control': 'no-store',
    });
    // Where nobody has the address that was named, there is nothing about them.
    await sendParts(res, app.auditLog.lines(filter ?? { subject: '' }, format));
  }

  async function sendPlatformCsv(req: IncomingMessage, res: ServerResponse, target: Target): Promise<void> {
    admitAdmin(admit(await identify(req)));
    const query = AdminUsageQuery.safeParse(readQuery(AdminUsageQuery, target));
    if (!query.success) throw inputError(query.error);
    res.writeHead(200, {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="platform-usage.csv"',
      'cache-control': 'no-store',
    });
    await sendParts(res, app.platformUsage.platformCsv(query.data));
  }

  async function sendConversation(req: IncomingMessage, res: ServerResponse, target: Target, ids: Record<string, string>): Promise<void> {
    const { userId } = admit(await identify(req));
    const query = ConversationExport.safeParse(readQuery(ConversationExport, target));
    const ref = ConversationRef.safeParse(ids);
    if (!query.success) throw inputError(query.error);
    if (!ref.success) throw inputError(ref.error);
    const names = new Map((await app.agents.roster.all()).map(({ slug, name }) => [slug, name]));
    const { conversations } = app;
    const nameOf = (slug: string) => names.get(slug) ?? slug;
    const file = await exportConversation({ conversations, userId, id: ref.data.id, format: query.data.format, nameOf });
    res.writeHead(200, {
      'content-type': file.contentType,
      'content-disposition': `attachment; filename="${file.fileName}"`,
      'cache-control': 'no-store',
    });
    await sendParts(res, file.parts);
  }

  const exporting = new Set<string>();
  async function sendAccount(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { userId } = admitPerson(await identify(req));
    if (exporting.has(userId)) throw new AppError('limit_reached', 'This is being written for you already.', { retryAfterMs: 10_000 });
    const { db, clock, conversations, config } = app;
    exporting.add(userId);
    try {
      await db.commit([app.audit.entry({ actor: userId, subject: userId, action: 'account.exported' })]);
      res.writeHead(200, {
        'content-type': 'application/json',
        'content-disposition': `attachment; filename="account-${new Date(clock.now()).toISOString().slice(0, 10)}.json"`,
        'cache-control': 'no-store',
      });
      await sendParts(res, exportAccount({ db, conversations, userId, publicUrl: config.publicUrl, nowMs: clock.now() }));
    } finally {
      exporting.delete(userId);
    }
  }

  /** Stripe's events. No cookie counts here and no origin is looked at: what counts is the signature over the bytes. */
  async function receiveEvent(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { billing } = app;
    if (!billing) throw new AppError('not_found', 'Nothing is sold on this server.');
    const { 'stripe-signature': signature = '' } = req.headers;
    const became = await billing.receive(await readBytes(req, eventBytes), String(signature));
    sendJson(res, 200, { received: became });
  }

  async function ready(): Promise<void> {
    if (app.draining) throw new AppError('draining', 'This server is shutting down.');
    await ping(app.db);
  }

  const signIn = createSignIn(app, { addressOf, note });
  const own: Readonly<Record<OwnRoute['path'], Handler>> = {
    '/healthz': (_req, res) => sendJson(res, 200, { status: 'ok' }),
    async '/readyz'(_req, res) {
      await ready();
      sendJson(res, 200, { status: 'ok' });
    },
    async '/metrics'(req, res) {
      admitScraper(req);
      const { text, contentType } = await app.metrics.scrape();
      res.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' }).end(text);
    },
    '/api/openapi.json': (_req, res) => sendJson(res, 200, spec()),
    '/api/docs': (_req, res) => void res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(docsPage(spec())),
    '/api/docs.css': (_req, res) => void res.writeHead(200, { 'content-type': 'text/css; charset=utf-8' }).end(docsStyle),
    '/api/billing/webhook': receiveEvent,
    '/api/oidc/start': signIn.start,
    '/api/oidc/callback': signIn.finish,
    '/api/v1/api-keys/usage.csv': sendCsv,
    '/api/v1/admin/usage.csv': sendPlatformCsv,
    async '/api/v1/agents/{slug}/messages'(req, res, _target, { slug = '' }) {
      await sendAnswer(req, res, { app, caller: admit(await identify(req)), slug });
    },
    '/api/v1/conversations/{id}/export': sendConversation,
    '/api/v1/admin/audit/export': sendAudit,
    '/api/v1/account/export': sendAccount,
  };

  /** @throws AppError `method_not_allowed` */
  function findOwn(method: string | undefined, pathname: string): { path: OwnRoute['path']; ids: Record<string, string> } | null {
    for (const { path, method: takes } of ownRoutes) {
      const ids = path.includes('{') ? idsIn(path, pathname) : path === pathname ? {} : null;
      if (!ids) continue;
      if (method === takes || (takes === 'GET' && method === 'HEAD')) return { path, ids };
      throw wrongMethod(method, takes);
    }
    return null;
  }

  async function route(req: IncomingMessage, res: ServerResponse, target: Target): Promise<void> {
    const { pathname } = target;
    if (pathname.startsWith('/trpc/')) {
      const path = pathname.slice('/trpc/'.length);
      res.setHeader('cache-control', 'no-store');
      return nodeHTTPRequestHandler({
        router: appRouter,
        req,
        res,
        path,
        createContext: () => contextOf(req),
        maxBodySize: bodyLimit(path),
        // Our page sends none; thousands in one address would keep everybody else waiting.
        maxBatchSize: 20,
        onError: ({ error }) => note(appErrorOf(error)),
      });
    }
    if (pathname.startsWith('/api/auth/')) return app.auth.handle(req, res);
    const found = findOwn(req.method, pathname);
    if (found) return own[found.path](req, res, target, found.ids);
    if (pathname.startsWith('/api/')) {
      if (!(await handleRest(req, res, target, contextOf(req))))
        throw new AppError('not_found', 'There is nothing at this address. /api/docs lists what there is.');
      return;
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') throw wrongMethod(req.method, 'GET');
    const home = homeOf(req, target);
    if (home) res.writeHead(307, { location: home, 'cache-control': 'no-store' }).end();
    else pages.serve(req, res, pathname);
  }

  /**
   * Where a page on this machine should be opened instead, null: it is right. `127.0.0.1` and `localhost` are one place to people but two
   * to browsers, and only PUBLIC_URL's may sign in.
   */
  function homeOf({ headers }: IncomingMessage, { pathname, search }: Target): string | null {
    const asked = URL.parse(`http://${headers.host}`);
    const home = new URL(app.config.publicUrl);
    const isAlias =
      asked !== null && asked.host !== home.host && asked.port === home.port && isLoopback(asked.hostname) && isLoopback(home.hostname);
    return isAlias && headers.accept?.includes('text/html') ? `${publicOrigin}${pathname}${search}` : null;
  }

  function note(error: AppError): void {
    app.metrics.failed(error.code);
    if (error.code === 'internal' || error.code === 'storage_unavailable') app.log.error({}, error.message, error.cause);
  }

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    // The raw path, never one that URL has tidied up: `/v1/../x` is an address of nothing.
    const target = targetOf(req.url ?? '/');
    if (target.pathname.startsWith('/v1/')) return app.gateway.handle(req, res, target);
    for (const [name, value] of Object.entries(securityHeaders)) res.setHeader(name, value);
    if (isMisaddressed(target.pathname, req.headers)) return app.gateway.handle(req, res, target);
    try {
      await route(req, res, target);
    } catch (thrown) {
      const error = toAppError(thrown);
      note(error);
      if (res.headersSent) res.destroy();
      else sendProblem(res, error);
    }
  }

  const listener = (req: IncomingMessage, res: ServerResponse) => {
    // Node takes up all requests of a piece at once, and keeps their answers for whoever does not read them.
    if (connections.begin(req, res) > mostPipelined) {
      req.socket.destroy();
      return;
    }
    handle(req, res).catch((error: unknown) => {
      app.log.error({}, 'A request failed in an unforeseen way', error);
      res.destroy();
    });
  };
  const options = { ...patience, keepAliveTimeout: 65_000, maxHeaderSize: 32_768 };
  const { certFile, keyFile } = app.config.tls;
  if (!certFile || !keyFile) return connections.watch(createHttpServer(options, listener));
  const certificate = readCertificate({ certFile, keyFile });
  const server = createHttpsServer({ ...options, ...certificate }, listener);
  watchCertificate(server, { certFile, keyFile }, certificate, app);
  return connections.watch(server);
}

const wrongMethod = (method: string | undefined, takes: 'GET' | 'POST') =>
  new AppError('method_not_allowed', `${method} is not possible here; ${takes} is.`, {
    headers: { allow: takes === 'GET' ? 'GET, HEAD' : takes },
  });

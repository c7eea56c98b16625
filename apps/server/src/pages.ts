/** The built pages, from memory: hashed files for a year, index.html for every other path, brotli where it is understood. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

interface Page {
  type: string;
  plain: Buffer;
  brotli: Buffer | null;
  cache: string;
}

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
};

export type Pages = ReturnType<typeof loadPages>;

/** @param folder  where vite put the pages; one that is not there serves a page that says how to build them */
export function loadPages(folder: string) {
  const pages = new Map(filesIn(folder).map((file) => [`/${file}`, loadPage(join(folder, file), file)]));
  const index = pages.get('/index.html') ?? missing;

  return {
    /** Answers GET and HEAD; paths of the pages' own router get index.html, missing files 404. */
    serve(req: IncomingMessage, res: ServerResponse, pathname: string): void {
      const page = pages.get(pathname) ?? (extname(pathname) === '' ? index : null);
      if (!page) return void res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('Not found');
      const brotli = page.brotli && /\bbr\b/.test(String(req.headers['accept-encoding'] ?? ''));
      const body = brotli && page.brotli ? page.brotli : page.plain;
      res.writeHead(200, {
        'content-type': page.type,
        'content-length': body.length,
        'cache-control': page.cache,
        vary: 'accept-encoding',
        ...(brotli && { 'content-encoding': 'br' }),
      });
      res.end(req.method === 'HEAD' ? undefined : body);
    },
  };
}

function loadPage(path: string, file: string): Page {
  const plain = readFileSync(path);
  const extension = extname(file);
  const compressible = /^\.(html|js|css|svg|json|txt)$/.test(extension) && plain.length > 1_000;
  return {
    type: types[extension] ?? 'application/octet-stream',
    plain,
    brotli: compressible ? brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }) : null,
    cache: file.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true })
      .map((file) => String(file).replaceAll('\\', '/'))
      .filter((file) => statSync(join(folder, file)).isFile());
  } catch {
    return [];
  }
}

const missing: Page = {
  type: 'text/html; charset=utf-8',
  plain: Buffer.from(
    '<!doctype html><title>SynthStack BYOK</title><p>The pages are not built. Start with <code>npx --yes pnpm@12.21.0 start</code>.',
  ),
  brotli: null,
  cache: 'no-cache',
};

/** The built pages, from memory: hashed files for a year, a page's HTML or index.html for every other path, brotli where it is understood. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, posix } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { readFiles } from './pages-files.ts';

interface Page {
  type: string;
  plain: Buffer;
  /** Made when first asked for, so that a start need not wait for it. */
  brotli: () => Buffer | null;
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
  const pages = new Map([...readFiles(folder)].map(([file, plain]) => [`/${file}`, pageOf(file, plain)]));
  const index = pages.get('/index.html') ?? missing;

  /** `/agents/general` has agents/general.html, else agents/_.html; of which there is neither, index.html. They differ in what they load ahead. */
  const htmlOf = (pathname: string): Page => {
    const path = pathname.replace(/\/$/, '');
    return pages.get(`${path}.html`) ?? pages.get(`${posix.dirname(path)}/_.html`) ?? index;
  };

  return {
    /** Answers GET and HEAD; paths of the pages' own router get their HTML, missing files 404. */
    serve(req: IncomingMessage, res: ServerResponse, pathname: string): void {
      const page = pages.get(pathname) ?? (isFileLike(pathname) ? null : htmlOf(pathname));
      if (!page) return void res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('Not found');
      const brotli = takesBrotli(req.headers['accept-encoding']) ? page.brotli() : null;
      const body = brotli ?? page.plain;
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

function pageOf(file: string, plain: Buffer): Page {
  const extension = extname(file);
  const compressible = /^\.(html|js|css|svg|json|txt)$/.test(extension) && plain.length > 1_000;
  let compressed: Buffer | null = null;
  return {
    type: types[extension] ?? 'application/octet-stream',
    plain,
    brotli: () => {
      if (compressible) compressed ??= brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });
      return compressed;
    },
    cache: file.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
}

/** The pages' own paths have no dots in them: `/robots.txt`, `/.env` and `/.well-known/x` are files that are not there. */
const isFileLike = (pathname: string): boolean => /\/\.|\.[^/]*$/.test(pathname);

/** `br;q=0` refuses it (RFC 9110, 12.4.2). */
function takesBrotli(acceptEncoding: string | string[] | undefined): boolean {
  return String(acceptEncoding ?? '')
    .split(',')
    .some((coding) => /^br(\s*;\s*q=(?!0(\.0*)?$).*)?$/.test(coding.trim()));
}

const missing: Page = {
  type: 'text/html; charset=utf-8',
  plain: Buffer.from(
    '<!doctype html><title>SynthStack BYOK</title><p>The pages are not built. Start with <code>npx --yes pnpm@12.21.0 start</code>.',
  ),
  brotli: () => null,
  cache: 'no-cache',
};

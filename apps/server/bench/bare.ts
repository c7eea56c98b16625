/** The yardstick: a pass-through that does nothing but pass through. node:http, the body buffered, undici's `Pool.dispatch`. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { argsOf, serveParent } from './child.ts';
import { profile } from './profiled.ts';

const pool = new Pool(`http://127.0.0.1:${argsOf<{ upstreamPort: number }>().upstreamPort}`, { connections: 4_096, pipelining: 1 });

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    const { authorization = '', 'content-type': type = 'application/json' } = req.headers;
    pool.dispatch(
      { path: req.url ?? '/', method: 'POST', headers: { authorization, 'content-type': type }, body: body ?? null },
      {
        onRequestStart: () => undefined,
        onResponseStart(_, status, headers) {
          const { 'content-type': answerType, 'content-length': length } = headers;
          res.writeHead(status, { 'content-type': String(answerType), ...(length !== undefined && { 'content-length': String(length) }) });
        },
        onResponseData: (_, chunk) => void res.write(chunk),
        onResponseEnd: () => void res.end(),
        onResponseError: () => void res.destroy(),
      },
    );
  });
});
server.listen(0, '127.0.0.1', () =>
  serveParent(
    { port: (server.address() as AddressInfo).port },
    { answer: (question) => profile((question as { profileMs: number }).profileMs) },
  ),
);

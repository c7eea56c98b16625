/** A collector of traces, scripted, on a real socket: it keeps what it takes, and refuses as it is told. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: string; doubleValue?: number; boolValue?: boolean };
}
export interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  status: { code?: number; message?: string };
}

export type ScriptedCollector = Awaited<ReturnType<typeof startCollector>>;

export async function startCollector() {
  const bodies: string[] = [];
  const headers: Record<string, unknown>[] = [];
  let asked = 0;
  let answer: { status: number; body: string } = { status: 200, body: '{}' };
  const server = createServer(async (req, res) => {
    const body = await text(req);
    asked += 1;
    headers.push({ ...req.headers, path: req.url });
    if (answer.status === 200) bodies.push(body);
    res.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const spans = (): Span[] =>
    bodies.flatMap((body) => {
      const { resourceSpans } = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] };
      return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
    });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** All that it took, as it came. */
    bodies,
    headers,
    spans,
    asked: () => asked,
    answers(status: number, body = '{}'): void {
      answer = { status, body };
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A span's attributes by name. */
export function named({ attributes }: Span): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.intValue === undefined ? Object.values(value)[0] : Number(value.intValue)]),
  );
}

/** A provider that plays what a rig tells it, byte for byte and piece by piece, to requests that carry a tag of its own. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Play = (tag: string, res: ServerResponse) => void | Promise<void>;

export interface Playback extends AsyncDisposable {
  openaiUrl: string;
  anthropicUrl: string;
}

/** @param play  answers a request that has come whole; its tag is its `x-client-request-id` */
export async function startPlayback(play: Play): Promise<Playback> {
  const server = createServer({ keepAliveTimeout: 65_000, noDelay: true }, (req, res) => {
    const tag = req.headers['x-client-request-id'];
    req.resume();
    req.on('end', () => {
      if (typeof tag === 'string') void play(tag, res);
      else answerCheck(req, res);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    openaiUrl: `${url}/v1`,
    anthropicUrl: url,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A key that is being saved: its check lists models, or asks for one token. */
function answerCheck(req: IncomingMessage, res: ServerResponse): void {
  const message = { type: 'message', role: 'assistant', content: [], usage: { input_tokens: 1, output_tokens: 1 } };
  const body = JSON.stringify(req.method === 'GET' ? { object: 'list', data: [] } : message);
  res.writeHead(200, { 'content-type': 'application/json' }).end(body);
}

export function beginStream(res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
}

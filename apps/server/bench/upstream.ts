/**
 * The provider of the benchmark: it plays back what the scripted provider answered once, byte for byte, from raw sockets. The scripted
 * provider itself works out each answer (60 to 90 us), and on a small machine would be what is measured.
 */
import { createServer, type Socket } from 'node:net';
import { startProvider } from '../test/provider.ts';
import { serveParent } from './child.ts';
import { bodyOf, providerKey, type Shape, shapes } from './shapes.ts';

const headEnd = Buffer.from('\r\n\r\n');

/** The pieces of an answer; a stream's go out one a turn, as a provider's do. */
type Answer = Buffer[];

async function record(): Promise<(head: string, body: Buffer) => Answer> {
  await using provider = await startProvider({ openai: { keys: { [providerKey]: { tokens: 50 } } }, record: false });
  const get = async (path: string) =>
    played(await fetch(`${provider.url}${path}`, { headers: { authorization: `Bearer ${providerKey}` } }));
  const post = async (shape: Shape, more: object) => {
    provider.key(providerKey, { tokens: shape.chunks || 50, chunks: shape.chunks || 50 });
    const headers = { authorization: `Bearer ${providerKey}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ ...JSON.parse(bodyOf(shape)), ...more });
    return played(await fetch(`${provider.url}/v1/chat/completions`, { method: 'POST', headers, body }));
  };
  const models = await get('/v1/models');
  const recorded = await Promise.all(
    Object.values(shapes).map(async (shape) => ({
      marker: Buffer.from(shape.marker),
      plain: await post(shape, {}),
      withUsage: shape.chunks > 0 ? await post(shape, { stream_options: { include_usage: true } }) : null,
    })),
  );
  return (head, body) => {
    if (head.startsWith('GET ')) return models;
    const found = recorded.find(({ marker }) => body.includes(marker));
    if (!found) throw new Error(`Nobody asked for this in the recording: ${head.slice(0, 60)}`);
    return found.withUsage && body.includes('"include_usage":true') ? found.withUsage : found.plain;
  };
}

async function played(response: Response): Promise<Answer> {
  const text = await response.text();
  if (!response.ok) throw new Error(`The scripted provider answers ${response.status}: ${text}`);
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
  const skipped = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length']);
  const headers = [...response.headers].filter(([name]) => !skipped.has(name)).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${response.status} OK\r\n${headers.join('')}`;
  if (!isStream) return [Buffer.from(`${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)];
  const events = text.split(/(?<=\n\n)/).map((event) => `${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`);
  return [`${head}transfer-encoding: chunked\r\n\r\n`, ...events, '0\r\n\r\n'].map((piece) => Buffer.from(piece));
}

function serve(socket: Socket, answerTo: (head: string, body: Buffer) => Answer): void {
  let received: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const end = received.indexOf(headEnd);
    if (end < 0) return;
    const head = received.toString('latin1', 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const bodyAt = end + headEnd.length;
    if (received.length < bodyAt + length) return;
    const answer = answerTo(head, received.subarray(bodyAt, bodyAt + length));
    received = received.subarray(bodyAt + length);
    send(socket, answer, 0);
  });
}

function send(socket: Socket, pieces: Answer, at: number): void {
  const piece = pieces[at];
  if (!piece || socket.destroyed) return;
  socket.write(piece);
  if (at + 1 < pieces.length) setImmediate(send, socket, pieces, at + 1);
}

const answerTo = await record();
const server = createServer((socket) => serve(socket, answerTo));
server.listen(0, '127.0.0.1', () => serveParent({ port: (server.address() as { port: number }).port }));

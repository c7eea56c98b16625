/**
 * The provider of the benchmark: it plays back what the scripted provider answered once, byte for byte, from raw sockets. The scripted
 * provider itself works out each answer (60 to 90 us), and on a small machine would be what is measured.
 */
import { createServer, type Socket } from 'node:net';
import { startProvider } from '../test/provider.ts';
import { serveParent } from './child.ts';
import { createDrip, type Drip } from './drip.ts';
import { bodyOf, providerKey, type Shape, shapes, slowShape } from './shapes.ts';
import { createStamp } from './stamp.ts';

const headEnd = Buffer.from('\r\n\r\n');
const slowMarker = Buffer.from(slowShape.marker);

/** The pieces of an answer; a stream's go out one a turn, as a provider's do. */
type Answer = Buffer[];

interface Recording {
  answerTo(head: string, body: Buffer): Answer;
  /** A stream with its usage. */
  stream: Answer;
}

async function record(): Promise<Recording> {
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
  const recorded: { marker: Buffer; plain: Answer; withUsage: Answer | null }[] = [];
  // One after the other: the key's script says how long the next answer is.
  for (const shape of Object.values(shapes)) {
    const plain = await post(shape, {});
    const withUsage = shape.chunks > 0 ? await post(shape, { stream_options: { include_usage: true } }) : null;
    recorded.push({ marker: Buffer.from(shape.marker), plain, withUsage });
  }
  const stream = await post(slowShape, { stream_options: { include_usage: true } });
  const answerTo = (head: string, body: Buffer) => {
    if (head.startsWith('GET ')) return models;
    const found = recorded.find(({ marker }) => body.includes(marker));
    if (!found) throw new Error(`Nobody asked for this in the recording: ${head.slice(0, 60)}`);
    return found.withUsage && body.includes('"include_usage":true') ? found.withUsage : found.plain;
  };
  return { answerTo, stream };
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

/** A recorded stream, with chunks that tell when they were sent between its first event and its last ones. */
function dripOf(stream: Answer): Drip {
  const [head = Buffer.alloc(0), role = head, content = head] = stream;
  const end = stream.findIndex((piece) => piece.includes('"finish_reason":"stop"'));
  const event = content.toString().split('\r\n')[1] ?? '';
  return createDrip({ lead: Buffer.concat([head, role]), chunk: createStamp(event), closing: Buffer.concat(stream.slice(end)) });
}

function serve(socket: Socket, { answerTo }: Recording, drip: Drip): void {
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
    const body = received.subarray(bodyAt, bodyAt + length);
    received = received.subarray(bodyAt + length);
    if (body.includes(slowMarker)) drip.add(socket);
    else send(socket, answerTo(head, body), 0);
  });
}

function send(socket: Socket, pieces: Answer, at: number): void {
  const piece = pieces[at];
  if (!piece || socket.destroyed) return;
  socket.write(piece);
  if (at + 1 < pieces.length) setImmediate(send, socket, pieces, at + 1);
}

const recording = await record();
const drip = dripOf(recording.stream);
const server = createServer((socket) => serve(socket, recording, drip));
/** The one thing that it can be told: to end its slow streams. */
const finish = async () => drip.finish();
// A thousand connections a second are opened to it.
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  serveParent({ port: (server.address() as { port: number }).port }, { answer: finish });
});

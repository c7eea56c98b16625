/**
 * The load's HTTP client: raw sockets and the least parsing with which an answer's end is known, so that the load costs little beside
 * what it loads. HTTP/1.1, kept alive, one request at a time on each connection.
 */
import { connect, type Socket } from 'node:net';

export interface Target {
  port: number;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

export interface Connection {
  /** Sends the request; `done` hears the status once the answer has come whole, or 0 if it broke off. */
  ask(done: (status: number) => void): void;
  close(): void;
}

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');

export async function openConnection(target: Target): Promise<Connection> {
  const request = requestBytes(target);
  const socket = await connected(target.port);
  let answer: Buffer[] = [];
  let done: ((status: number) => void) | null = null;

  function finish(status: number): void {
    const tell = done;
    done = null;
    answer = [];
    tell?.(status);
  }

  socket.on('data', (chunk) => {
    answer.push(chunk);
    // Answers come in one piece, or in many of which the end is looked at.
    const status = whole(answer);
    if (status !== null) finish(status);
  });
  socket.on('close', () => finish(0));
  socket.on('error', () => finish(0));

  return {
    ask(tell) {
      done = tell;
      if (socket.destroyed) finish(0);
      else socket.write(request);
    },
    close: () => void socket.destroy(),
  };
}

/** @returns the status once all of the answer is there, else null */
function whole(pieces: readonly Buffer[]): number | null {
  const first = pieces[0];
  if (!first) return null;
  const end = first.indexOf(headEnd);
  // A head that comes in two pieces is rare enough to be put together.
  if (end < 0) return pieces.length === 1 ? null : whole([Buffer.concat(pieces)]);
  const head = first.toString('latin1', 0, end);
  const status = Number(head.slice(9, 12));
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const received = pieces.reduce((sum, piece) => sum + piece.length, 0) - end - headEnd.length;
    return received >= Number(length) ? status : null;
  }
  const last = pieces.at(-1) ?? first;
  if (last.length >= lastChunk.length) return last.subarray(-lastChunk.length).equals(lastChunk) ? status : null;
  const tail = Buffer.concat(pieces.slice(-8));
  return tail.subarray(-lastChunk.length).equals(lastChunk) ? status : null;
}

function requestBytes({ port, method, path, headers, body }: Target): Buffer {
  const all = { host: `127.0.0.1:${port}`, ...headers, ...(body && { 'content-length': String(Buffer.byteLength(body)) }) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
}

function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket.removeListener('error', reject)));
    socket.once('error', reject);
  });
}

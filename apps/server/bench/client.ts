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
  /**
   * Sends the request; `done` hears the status once the answer has come whole, or 0 if it broke off.
   * @param token  stands in the place of the target's own, and is as long
   */
  ask(done: (status: number) => void, token?: string): void;
  close(): void;
}

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');

/** @param hear  is given every piece as it comes in */
export async function openConnection(target: Target, hear?: (piece: Buffer) => void): Promise<Connection> {
  const request = requestBytes(target);
  const tokenAt = request.indexOf('Bearer ') + 'Bearer '.length;
  const socket = await connected(target.port);
  let read = createReader();
  let done: ((status: number) => void) | null = null;

  function finish(status: number): void {
    const tell = done;
    done = null;
    read = createReader();
    tell?.(status);
  }

  socket.on('data', (piece) => {
    hear?.(piece);
    const status = read(piece);
    if (status !== null) finish(status);
  });
  socket.on('close', () => finish(0));
  socket.on('error', () => finish(0));

  return {
    ask(tell, token) {
      done = tell;
      // The request before this one was answered, so its bytes have left this buffer.
      if (token !== undefined) request.write(token, tokenAt, 'latin1');
      if (socket.destroyed) finish(0);
      else socket.write(request);
    },
    close: () => void socket.destroy(),
  };
}

/** Is given the pieces of one answer in turn. @returns its status with the last of them, else null */
export function createReader(): (piece: Buffer) => number | null {
  let head: Buffer = Buffer.alloc(0);
  let status = 0;
  /** Bytes of the body that are still to come; null: it is chunked. */
  let left: number | null = null;
  let tail: Buffer = Buffer.alloc(0);

  function readHead(piece: Buffer): number | null {
    head = head.length === 0 ? piece : Buffer.concat([head, piece]);
    const end = head.indexOf(headEnd);
    if (end < 0) return null;
    const text = head.toString('latin1', 0, end);
    status = Number(text.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
    left = length === undefined ? null : Number(length);
    // A chunked body without a byte in it is its last chunk alone.
    tail = headEnd.subarray(2);
    return readBody(head.subarray(end + headEnd.length));
  }

  function readBody(piece: Buffer): number | null {
    if (left !== null) {
      left -= piece.length;
      return left > 0 ? null : status;
    }
    tail = piece.length < lastChunk.length ? Buffer.concat([tail, piece]) : piece;
    const at = tail.length - lastChunk.length;
    return at >= 0 && lastChunk.compare(tail, at) === 0 ? status : null;
  }

  return (piece) => (status === 0 ? readHead(piece) : readBody(piece));
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

/**
 * Connections that bring no whole request: too slow, too long, or no HTTP. Who was recognised hears it in the shape of what was called;
 * the others get a bare status. Either way the connection ends, and with it what it held.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppError } from '@synthstack/core';

interface Standing {
  /** Answers that the connection waits for, its reader's slowness included. */
  open: number;
  /** The last request, which is the one that may not be whole yet. */
  req: IncomingMessage;
  res: ServerResponse;
}

export type Connections = ReturnType<typeof createConnections>;

/** How long an answer to a request that was given up may take to leave. */
const partingMs = 1_000;

export function createConnections() {
  const standings = new WeakMap<Socket, Standing>();

  function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    const standing = standings.get(socket);
    if (error.code === tooSlow && standing && !standing.req.complete && standing.req.listenerCount('error') > 0) {
      // Whoever reads the body hears it, and answers as that route answers.
      standing.req.emit('error', new AppError('request_timeout', 'The request did not arrive whole in time. Send it again.'));
      setTimeout(() => socket.destroy(), partingMs).unref();
      return;
    }
    // In the middle of an answer, or after the one that this request has had already, a bare status would be taken for a piece of it.
    const isAnswered =
      standing !== undefined && (standing.open > 1 || standing.res.headersSent) && (standing.open > 0 || !standing.req.complete);
    if (socket.writable && error.code !== 'ECONNRESET' && !isAnswered)
      socket.write(`HTTP/1.1 ${statusOf.get(error.code ?? '') ?? '400 Bad Request'}\r\nConnection: close\r\n\r\n`);
    socket.destroy(error);
  }

  return {
    /** @returns how many answers the connection waits for, this one included */
    begin(req: IncomingMessage, res: ServerResponse): number {
      const { socket } = req;
      const standing = standings.get(socket) ?? { open: 0, req, res };
      Object.assign(standing, { req, res });
      standing.open += 1;
      standings.set(socket, standing);
      res.once('close', () => {
        standing.open -= 1;
      });
      return standing.open;
    },
    watch: (server: Server): Server => server.on('clientError', refuse),
  };
}

const tooSlow = 'ERR_HTTP_REQUEST_TIMEOUT';
/** As Node itself answers where nobody listens. */
const statusOf: ReadonlyMap<string, string> = new Map([
  [tooSlow, '408 Request Timeout'],
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', '413 Payload Too Large'],
]);

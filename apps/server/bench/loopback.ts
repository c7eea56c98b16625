/** Loaded before a program that cannot be told where to listen: what would listen on every address of this machine stays on it. */
import { Server } from 'node:net';

const listen = Server.prototype.listen as (this: Server, ...args: unknown[]) => Server;

Server.prototype.listen = function (this: Server, ...args: unknown[]): Server {
  const [port, host, ...rest] = args;
  if (typeof port !== 'number' || typeof host === 'string') return listen.apply(this, args);
  return listen.call(this, port, '127.0.0.1', ...(typeof host === 'function' ? [host] : []), ...rest);
} as typeof Server.prototype.listen;

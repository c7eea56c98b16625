/** Puts an answer on the wire, well or badly: pacing, gates, backpressure, encodings and every way in which a network fails. */
import type { ServerResponse } from 'node:http';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { brotliCompressSync, constants, createBrotliCompress, createGzip, gzipSync } from 'node:zlib';
import type { Gate } from './gate.ts';
import type { Answer, Plan, ReceivedRequest } from './script.ts';

export interface Wire {
  res: ServerResponse;
  headers: string[];
  how: Answer;
  gates: Gate[];
  seen: ReceivedRequest;
  /** Resolves when the connection of this answer is gone or the answer is out. */
  gone: Promise<unknown>;
  /** Says that what follows is our own doing, not the client's. */
  cut(): void;
}

type End = 'end' | 'fin' | 'reset' | 'hang';
type Unit = string | Buffer;

const defaultLineBytes = 100 * 1024 * 1024;
const headless: Partial<Record<string, End>> = { silent: 'hang', refuse: 'fin', reset: 'reset' };

/** The common case, in one go: one write for the head and the body, or all events in one turn. */
export function deliver(plan: Plan, wire: Wire): Promise<void> | undefined {
  const { res, how, gates } = wire;
  const many = (plan.events?.length ?? 0) > 1000;
  const plain = !many && how.fault === undefined && gates.length === 0 && !how.drip && how.encoding === undefined && !how.crlf;
  if (!plain || how.chunkDelayMs || how.firstByteDelayMs) return slowly(plan, wire);
  if (!plan.events) {
    const body = plan.body ?? Buffer.alloc(0);
    res.writeHead(plan.status, [...wire.headers, 'content-length', String(body.length)]);
    wire.seen.chunks = 1;
    res.end(body);
    return undefined;
  }
  res.writeHead(plan.status, wire.headers);
  for (const event of plan.events) res.write(event);
  wire.seen.chunks = plan.events.length;
  res.end();
  return undefined;
}

async function slowly(plan: Plan, wire: Wire): Promise<void> {
  const { res, how, seen } = wire;
  if (how.firstByteDelayMs) await pause(how.firstByteDelayMs, wire);
  await pass(wire, -1);
  if (res.destroyed) return;
  const before = how.fault && headless[how.fault];
  if (before) return finish(before, wire);

  const units =
    how.crlf && plan.events ? plan.events.map((event) => event.replaceAll('\n', '\r\n')) : (plan.events ?? [plan.body ?? Buffer.alloc(0)]);
  const { list, end } = script(units, plan, how);
  const headers = [...wire.headers];
  if (how.encoding) headers.push('content-encoding', how.encoding);
  if (!plan.events && how.fault === 'truncated') headers.push('content-length', String((plan.body?.length ?? 0) + 64));
  res.writeHead(plan.status, headers);
  res.flushHeaders();

  const encode = how.encoding && encoder(how.encoding, plan.events !== undefined);
  let out = 0;
  for await (const unit of list) {
    await pass(wire, out);
    if (how.chunkDelayMs) await pause(how.chunkDelayMs, wire);
    if (res.destroyed) return;
    await send(encode ? await encode(unit) : unit, wire);
    out += 1;
    seen.chunks = out;
  }
  await pass(wire, out);
  if (!res.destroyed) finish(end, wire, encode ? await encode(undefined) : undefined);
}

/** What is sent, unit by unit, and how it ends. */
function script(units: Unit[], plan: Plan, how: Answer): { list: Iterable<Unit> | AsyncIterable<Unit>; end: End } {
  const stream = plan.events !== undefined;
  const at = Math.min(how.afterChunks ?? (stream ? 2 : 0), units.length);
  const fill = plan.fillAt ?? 0;
  const first = units.slice(0, at);
  // A plain answer is one unit; the cut goes through its middle.
  const part = units[at] ?? units.at(-1) ?? '';
  const half = part.slice(0, Math.ceil(part.length / 2));
  switch (how.fault) {
    case 'silent_after_head':
      return { list: [], end: 'hang' };
    case 'reset_after_head':
      return { list: [], end: 'reset' };
    case 'stall':
      return { list: stream ? first : [half], end: 'hang' };
    case 'reset_mid_stream':
      return { list: stream ? first : [half], end: 'reset' };
    case 'reset_mid_event':
      return { list: [...first, half], end: 'reset' };
    case 'truncated':
      return { list: stream ? [...first, half] : units, end: 'fin' };
    case 'close_early':
      return { list: stream ? first : [half], end: 'end' };
    case 'close_mid_event':
      return { list: [...first, half], end: 'end' };
    case 'endless':
      return { list: endless(units.slice(0, fill), plan.filler?.(' on') ?? ' '.repeat(1024)), end: 'end' };
    case 'long_line':
      return { list: [...units.slice(0, fill), ...longLine(plan, how), ...units.slice(stream ? fill : 0)], end: 'end' };
    case 'malformed':
      return { list: stream ? [...first, ...garbage, ...units.slice(at)] : [half, '\ufffd{"'], end: 'end' };
    case 'error_event':
      return { list: plan.errorEvent === undefined ? units : [...first, plan.errorEvent], end: 'end' };
    default:
      return { list: units, end: 'end' };
  }
}

const garbage: Unit[] = [
  ': a comment\n\n',
  'data: {"id":"cut", "choices":[{\n\n',
  'nonsense without a colon\n\n',
  'data\n\n',
  'event: unheard_of\ndata: [1,2\n\n',
  Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0x20, 0xff, 0xfe, 0xc3, 0x28, 0x0a, 0x0a]),
];

async function* endless(units: Unit[], more: Unit): AsyncGenerator<Unit> {
  yield* units;
  for (;;) {
    yield more;
    await turn();
  }
}

/** One content event (or, in a plain answer, leading white space) of `lineBytes`, in pieces of 64 KiB. */
function* longLine(plan: Plan, how: Answer): Generator<Unit> {
  const mark = '\u0001';
  const [head = '', tail = ''] = plan.filler?.(mark).split(JSON.stringify(mark).slice(1, -1)) ?? [];
  const letter = plan.filler ? 'x' : ' ';
  let left = Math.max(0, (how.lineBytes ?? defaultLineBytes) - head.length - tail.length);
  if (head) yield head;
  const piece = Buffer.alloc(64 * 1024, letter);
  for (; left > 0; left -= piece.length) yield left < piece.length ? piece.subarray(0, left) : piece;
  if (tail) yield tail;
}

async function send(unit: Unit, wire: Wire): Promise<void> {
  const { res, how } = wire;
  if (!how.drip) {
    if (!res.write(unit)) await Promise.race([new Promise<void>((done) => res.once('drain', done)), wire.gone]);
    return;
  }
  const bytes = Buffer.from(unit as string);
  for (let i = 0; i < bytes.length && !res.destroyed; i++) {
    res.write(bytes.subarray(i, i + 1));
    await turn();
  }
}

function finish(end: End, wire: Wire, last?: Unit): void {
  const { res } = wire;
  if (end === 'end') {
    res.end(last);
    return;
  }
  if (end === 'hang') return;
  wire.cut();
  const socket = res.socket;
  // In a later turn, so that what was written is on its way.
  setImmediate(() => (end === 'reset' ? socket?.resetAndDestroy() : socket?.destroy()));
}

async function pass(wire: Wire, out: number): Promise<void> {
  for (const gate of wire.gates) {
    const standing = gate.pass(out);
    if (standing) await Promise.race([standing, wire.gone]);
  }
}

async function pause(ms: number, wire: Wire): Promise<void> {
  await Promise.race([wait(ms, undefined, { ref: false }), wire.gone]);
}

/** A function that gives the compressed bytes of each unit, flushed so that each arrives by itself; `undefined` ends. */
function encoder(encoding: 'gzip' | 'br', stream: boolean): (unit: Unit | undefined) => Promise<Buffer> {
  if (!stream) {
    const whole = encoding === 'gzip' ? gzipSync : brotliCompressSync;
    return async (unit) => (unit === undefined ? Buffer.alloc(0) : whole(unit));
  }
  const packer = encoding === 'gzip' ? createGzip() : createBrotliCompress();
  const flush = encoding === 'gzip' ? constants.Z_SYNC_FLUSH : constants.BROTLI_OPERATION_FLUSH;
  return (unit) =>
    new Promise((done) => {
      const take = () => done((packer.read() as Buffer | null) ?? Buffer.alloc(0));
      if (unit === undefined) packer.end(take);
      else {
        packer.write(unit);
        packer.flush(flush, take);
      }
    });
}

/**
 * What the question itself asks of the scripted provider, for those who talk to it through a page: a last message that begins with
 * `/say` is answered with the lines below it. On the same line may stand `tokens=20000` (filler, instead of lines), `chunks=100`,
 * `delay=5` (ms before each chunk), `fault=reset_mid_stream` and `after=10` (chunks before the fault).
 */
import { fields, list } from '../../src/providers/reading.ts';
import { parse } from './json.ts';
import type { Answer, Fault } from './script.ts';

const command = /^\/say((?: \w+=\w+)*) *(?:\n([\s\S]*))?$/;

/** Nothing, where the question asks for nothing. */
export function spokenWish(body: Buffer): Partial<Answer> {
  if (!body.includes('/say')) return {};
  const asked = list(parse(body)?.messages)
    .map(fields)
    .findLast(({ role }) => role === 'user');
  const [found, options = '', text] = command.exec(textOf(asked?.content)) ?? [];
  if (found === undefined) return {};
  const { tokens, chunks, delay, fault, after } = Object.fromEntries(
    options
      .trim()
      .split(' ')
      .map((one) => one.split('=')),
  );
  return {
    ...(text !== undefined && { text }),
    ...(tokens && { tokens: Number(tokens) }),
    ...(chunks && { chunks: Number(chunks) }),
    ...(delay && { chunkDelayMs: Number(delay) }),
    ...(fault && { fault: fault as Fault }),
    ...(after && { afterChunks: Number(after) }),
  };
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return list(content)
    .map((part) => fields(part).text)
    .filter((text) => typeof text === 'string')
    .join('\n');
}

/** Asking an agent over REST: one request asks and is told the answer as server-sent events; the same with `Last-Event-ID` goes on with it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Question } from '@synthstack/core';
import { eventId } from '../agents.ts';
import type { Numbered } from '../agents-transcript.ts';
import type { Modules } from '../app.ts';
import type { Caller } from '../callers.ts';
import type { Clock } from '../ports/clock.ts';
import { readJson } from './rest.ts';
import { bodyLimit } from './router.ts';
import { sendParts, signOfLifeMs } from './stream.ts';
import { inputError } from './trpc.ts';

export interface AskParts {
  app: Pick<Modules, 'agents' | 'clock'>;
  caller: Caller;
  slug: string;
}

/** @throws AppError before the stream has begun; afterwards errors are its events */
export async function sendAnswer(req: IncomingMessage, res: ServerResponse, { app, caller, slug }: AskParts): Promise<void> {
  const lastEventId = req.headers['last-event-id']?.toString() ?? null;
  const answerId = lastEventId === null ? await ask(req, { app, caller, slug }) : (lastEventId.split(':')[0] ?? '');
  const left = new AbortController();
  res.once('close', () => left.abort());
  // It may have left while its question was written.
  if (res.destroyed) left.abort();
  const events = app.agents.listen(caller, answerId, lastEventId, left.signal);
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  res.flushHeaders();
  const fallSilent = stayAwake(res, app.clock);
  try {
    await sendParts(res, asText(answerId, events));
  } finally {
    fallSilent();
  }
}

/** @returns ends it */
function stayAwake(res: ServerResponse, clock: Clock): () => void {
  let cancel = clock.after(signOfLifeMs, tick);
  function tick(): void {
    res.write(': still here\n\n');
    cancel = clock.after(signOfLifeMs, tick);
  }
  return () => cancel();
}

async function* asText(answerId: string, events: AsyncIterable<Numbered>): AsyncGenerator<string> {
  for await (const numbered of events) {
    const { type, ...data } = numbered.event;
    yield `id: ${eventId(answerId, numbered)}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
  }
}

async function ask(req: IncomingMessage, { app, caller, slug }: AskParts): Promise<string> {
  const question = Question.safeParse(await readJson(req, bodyLimit('agents.ask')));
  if (!question.success) throw inputError(question.error);
  return (await app.agents.ask(caller, { ...question.data, agent: slug })).answerId;
}

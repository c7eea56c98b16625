/** People who talk to agents: asking over tRPC and REST, and hearing the answer as a client of server-sent events does. */
import type { AnswerEvent, Ask, Asked, ConversationView } from '@synthstack/core';
import type { Person, TestApp } from './app.ts';

export interface Heard {
  id: string;
  event: AnswerEvent;
}

/** A server-sent stream, event by event. */
export async function* eventsOf(res: Response): AsyncGenerator<{ id: string; name: string; data: string }> {
  let text = '';
  for await (const piece of (res.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1] ?? '';
      if (block.startsWith(':')) continue;
      yield { id: field('id'), name: field('event') || 'message', data: field('data') };
    }
  }
}

export type Question = Omit<Ask, 'agent'>;

/** Asks over REST. */
export const post = (app: TestApp, who: Person, question: Question | string, slug = 'general', headers: Record<string, string> = {}) =>
  app.fetch(who, `/api/v1/agents/${slug}/messages`, { json: typeof question === 'string' ? { content: question } : question, headers });

/** The events of an answer over REST, with their types. */
export async function* heard(res: Response): AsyncGenerator<Heard> {
  for await (const { id, name, data } of eventsOf(res)) yield { id, event: { type: name, ...JSON.parse(data) } as AnswerEvent };
}

export interface WholeAnswer {
  events: AnswerEvent[];
  text: string;
  start: Extract<AnswerEvent, { type: 'start' }>;
  last: AnswerEvent;
}

export async function wholeOf(res: Response): Promise<WholeAnswer> {
  if (res.status !== 200) throw new Error(`${res.status} ${await res.text()}`);
  return summed((await all(heard(res))).map(({ event }) => event));
}

export async function all<T>(told: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of told) list.push(one);
  return list;
}

export function summed(events: AnswerEvent[]): WholeAnswer {
  const [start] = events;
  const last = events.at(-1);
  if (start?.type !== 'start' || !last) throw new Error(`No whole answer: ${JSON.stringify(events)}`);
  return { events, start, last, text: events.map((event) => (event.type === 'delta' ? event.text : '')).join('') };
}

/** Asks over REST and waits for the whole answer. */
export const say = async (app: TestApp, who: Person, question: Question | string, slug = 'general'): Promise<WholeAnswer> =>
  wholeOf(await post(app, who, question, slug));

/** A procedure over tRPC's HTTP. @throws Error with the code */
export async function call<T>(app: TestApp, who: Person, name: string, input?: unknown): Promise<T> {
  const reads = /\.(list|get|keeping|versions)$/.test(name);
  const query = reads && input !== undefined ? `?input=${encodeURIComponent(JSON.stringify(input))}` : '';
  const res = await app.fetch(who, `/trpc/${name}${query}`, reads ? {} : { json: input ?? null, method: 'POST' });
  const body = (await res.json()) as { result?: { data: T }; error?: { data: { code: string }; message: string } };
  if (body.error) throw Object.assign(new Error(body.error.message), { code: body.error.data.code });
  return body.result?.data as T;
}

export const ask = (app: TestApp, who: Person, question: Question & { agent?: string }): Promise<Asked> =>
  call<Asked>(app, who, 'agents.ask', { agent: 'general', ...question });

/** Listens over tRPC, as a page does. */
export async function* listen(app: TestApp, who: Person, answerId: string, lastEventId?: string): AsyncGenerator<Heard> {
  const leaving = new AbortController();
  const input = encodeURIComponent(JSON.stringify({ answerId }));
  const headers: Record<string, string> = lastEventId ? { 'last-event-id': lastEventId } : {};
  const res = await app.fetch(who, `/trpc/agents.answer?input=${input}`, { headers, signal: leaving.signal });
  try {
    for await (const { id, name, data } of eventsOf(res)) {
      if (name === 'connected' || name === 'ping') continue;
      if (name === 'return') return;
      if (name === 'serialized-error') throw Object.assign(new Error(data), { code: JSON.parse(data).data.code });
      yield { id, event: JSON.parse(data) as AnswerEvent };
    }
  } finally {
    leaving.abort();
  }
}

export const conversation = (app: TestApp, who: Person, id: string | null): Promise<ConversationView> =>
  call<ConversationView>(app, who, 'conversations.get', { id });

/**
 * The AI Cofounders: customers of the gateway like any other. A question is written down, its answer made as a job of its own, which goes
 * on whoever listens, and told to all who do (agents-transcript.ts).
 */
import { randomUUID } from 'node:crypto';
import { type AnswerEvent, type Ask, type Asked, type FallbackReason, type KeySource, toUsd, wrongField } from '@synthstack/core';
import { type Answer, type AnswersParts, createAnswers } from './agents-answers.ts';
import { coordinator } from './agents-catalog.ts';
import { fit, type Past, systemPrompt, withFiles } from './agents-context.ts';
import { endless, type Failure, failureOf, internal, speechless } from './agents-failure.ts';
import { createHandover, noHandover } from './agents-handover.ts';
import { type Agent, admitTo, createRoster, mayAsk, type RosterParts } from './agents-roster.ts';
import { speakers, type Turn } from './agents-speakers.ts';
import type { Numbered } from './agents-transcript.ts';
import { createVoices, type Voice, type VoiceParts } from './agents-voice.ts';
import type { Caller } from './callers.ts';
import { type Conversations, type Ending, interrupted, type Kept, type Message, type Question } from './conversations.ts';
import type { Log } from './ports/log.ts';
import type { FetchFor, Over } from './relay/fetch.ts';

export interface AgentsParts extends RosterParts, VoiceParts, AnswersParts {
  conversations: Conversations;
  /** The gateway's own function, in process. */
  fetchFor: FetchFor;
  /** This process. */
  bootId: string;
  log: Log;
}

/** Everything that an answer needs. */
interface Scene {
  caller: Caller;
  agent: Agent;
  voice: Voice;
  system: string;
  turns: Turn[];
  dropped: number;
  /** null: nothing is kept. */
  kept: Kept | null;
}

/** Where in a conversation the question stands. */
interface Place {
  past: Past[];
  /** So many questions before `past` are not even looked at. */
  skipped: number;
  question: Question;
  /** It is there already. */
  isOld: boolean;
  at: number;
  /** What stands there goes. */
  replaces: boolean;
}

/** More than any model is told (agents-speakers.ts). */
const mostPast = { messages: 200, bytes: 2_000_000 };
const writeEveryMs = 2_000;
const keepAgainMs = 5_000;
/** Characters; no model says so much at once. */
const mostSaid = 1_000_000;

export type Agents = ReturnType<typeof createAgents>;

export function createAgents(parts: AgentsParts) {
  const { conversations, fetchFor, clock, log, bootId } = parts;
  const roster = createRoster(parts);
  const answers = createAnswers(parts);
  const voiceFor = createVoices(parts);

  async function placeOf(kept: Kept | null, ask: Ask): Promise<Place> {
    const fresh = { id: randomUUID(), content: ask.content ?? '', attachments: ask.attachments ?? [] };
    if (!kept) return { ...viewed([]), past: (ask.history ?? []).map(pastTurn), question: fresh, isOld: false, at: 0, replaces: false };
    if (ask.replaces) {
      const target = await conversations.message(kept, ask.replaces);
      if (target.role !== 'user') throw wrongField('replaces', 'Only messages of your own can be replaced.');
      const past = await conversations.newest(kept, mostPast, target.position);
      const attachments = ask.attachments ?? target.attachments;
      return { ...viewed(past), question: { ...fresh, attachments }, isOld: false, at: target.position, replaces: true };
    }
    const past = await conversations.newest(kept, mostPast);
    const last = past.at(-1);
    if (!ask.regenerates) return { ...viewed(past), question: fresh, isOld: false, at: (last?.position ?? -1) + 1, replaces: false };
    const asked = past.findLast(({ role }) => role === 'user');
    if (!last || !asked) throw wrongField('regenerates', 'There is no answer in this conversation yet.');
    const before = past.filter(({ position }) => position < asked.position);
    return { ...viewed(before), question: asked, isOld: true, at: asked.position + 1, replaces: true };
  }

  /** What the model is told, besides the question. */
  async function sceneOf(caller: Caller, agent: Agent, kept: Kept | null, { past, skipped, question }: Place, ask: Ask): Promise<Scene> {
    const voice = await voiceFor(caller, agent, ask, kept?.row ?? null);
    const { turns, dropped } = await fit(past, voice);
    const colleagues = (await roster.all())
      .filter(({ slug }) => slug !== agent.slug)
      .map((one) => ({ agent: one, available: mayAsk(one, caller.plan.tier) }));
    const system = systemPrompt(agent, { colleagues, past, nowMs: clock.now() });
    const asked: Turn = { role: 'user', content: withFiles(question.content, question.attachments) };
    return { caller, agent, voice, system, turns: [...turns, asked], dropped: dropped + skipped, kept };
  }

  /** @throws AppError: nothing was written, and no answer comes */
  async function ask(caller: Caller, input: Ask): Promise<Asked> {
    const agent = await roster.find(input.agent);
    admitTo(agent, caller.plan.tier);
    answers.admit(caller.userId);
    const before = input.conversationId ? await conversations.open(caller.userId, input.conversationId) : null;
    const place = await placeOf(before, input);
    const scene = await sceneOf(caller, agent, before, place, input);
    // What began without being kept is never kept in part: the next question would find only that part.
    const isKept = before !== null || (!input.history?.length && (await conversations.keeps(caller.userId)));
    const messageId = randomUUID();
    // Counted before it is written: of many questions at once no more than may be get in.
    const answer = answers.begin(caller.userId, {
      ...{ answerId: messageId, messageId },
      conversationId: before?.row.id ?? (isKept ? randomUUID() : null),
      userMessageId: isKept ? place.question.id : null,
    });
    try {
      const kept = answer.conversationId === null ? null : await write(answer.conversationId, scene, place, messageId);
      void run(answer, { ...scene, kept });
    } catch (error) {
      answers.forget(answer);
      throw error;
    }
    const { answerId, conversationId, userMessageId } = answer;
    return { answerId, conversationId, messageId, userMessageId };
  }

  function write(
    conversationId: string,
    { caller, agent, voice, dropped, kept }: Scene,
    { question, isOld, at, replaces }: Place,
    id: string,
  ): Promise<Kept> {
    return conversations.begin({
      ...{ id: conversationId, userId: caller.userId, kept, agent: agent.slug, provider: voice.provider.id, model: voice.chosen },
      question: isOld ? null : question,
      answer: { id, model: voice.model, droppedTurns: dropped, bootId },
      ...{ at, replaces },
    });
  }

  /** Makes the answer, from its first event to its last. Whatever goes wrong is told in it. */
  async function run(answer: Answer, scene: Scene): Promise<void> {
    try {
      await make(answer, scene);
    } catch (error) {
      log.error({ agent: scene.agent.slug }, 'An answer failed in an unforeseen way', error);
      answer.transcript.close({ type: 'error', ...internal });
    } finally {
      answers.close(answer);
    }
  }

  async function make(answer: Answer, scene: Scene): Promise<void> {
    const stopWriting = writeNowAndThen(answer, scene);
    const handover = scene.agent.slug === coordinator ? createHandover() : noHandover;
    const { end, cut, failure } = await speak(answer, scene, (text) => answer.transcript.say(handover.push(text)));
    if (!answer.transcript.hasBegun) answer.transcript.begin(startOf(answer, scene, end?.said ?? {}));
    const { text, to } = handover.finish();
    answer.transcript.say(text);
    await stopWriting();
    const colleague = to !== null && to !== scene.agent.slug && (await isThere(to)) ? to : null;
    const wrong = failure ?? (answer.calledOff === null && answer.transcript.length === 0 && !colleague ? speechless : null);
    const last = await record(answer, scene, { end, cut, failure: wrong, colleague });
    answer.transcript.close(
      ...(colleague ? [{ type: 'handover' as const, agent: colleague }] : []),
      ...(end?.settled ? [usageOf(end)] : []),
      last,
    );
  }

  const isThere = (slug: string): Promise<boolean> =>
    roster.find(slug).then(
      () => true,
      () => false,
    );

  /** @param say  gets the text as it comes */
  async function speak(answer: Answer, scene: Scene, say: (text: string) => void): Promise<Spoken> {
    const { voice, agent, caller, system, turns } = scene;
    const ended = Promise.withResolvers<Over>();
    const viaGateway = fetchFor(caller, ended.resolve);
    let isSent = false;
    let [cut, thrown]: [boolean, unknown] = [false, null];
    const speech = speakers[voice.provider.id].speak({
      ...{ model: voice.model, system, turns, temperature: agent.temperature, signal: answer.signal },
      async fetch(url, init) {
        isSent = true;
        const response = await viaGateway(url, init);
        answer.transcript.begin(startOf(answer, scene, Object.fromEntries(response.headers)));
        return response;
      },
    });
    try {
      let next = await speech.next();
      for (; !next.done; next = await speech.next()) {
        say(next.value);
        if (answer.transcript.length > mostSaid) answer.callOff('endless');
      }
      cut = next.value.cut;
    } catch (error) {
      thrown = error;
    }
    // Its row is settled by then, however it ended.
    const end = isSent ? await ended.promise : null;
    if (thrown !== null && !end && answer.calledOff === null)
      log.error({ agent: agent.slug }, 'An agent could not ask the gateway', thrown);
    return {
      end,
      cut,
      failure: answer.calledOff ? whyCalledOff[answer.calledOff] : thrown === null ? null : failureOf(thrown, end, voice.provider),
    };
  }

  /** What has been said is written every two seconds. @returns ends it, once the last of it is on its way */
  function writeNowAndThen({ messageId, transcript }: Answer, { kept }: Scene): () => Promise<void> {
    if (!kept) return async () => undefined;
    let written = 0;
    let writing = Promise.resolve();
    let cancel = clock.after(writeEveryMs, tick);
    function tick(): void {
      cancel = clock.after(writeEveryMs, tick);
      if (transcript.length === written || !kept) return;
      written = transcript.length;
      // What cannot be written now will be by the next, or at the end.
      writing = conversations.write(kept, messageId, transcript.text).catch(() => undefined);
    }
    return () => {
      cancel();
      return writing;
    };
  }

  /** The end, in the conversation. @returns the event that says it */
  async function record(answer: Answer, { kept }: Scene, { end, cut, failure, colleague }: Ended): Promise<AnswerEvent> {
    const stopped = answer.calledOff === 'stopped';
    const last: AnswerEvent = failure ? { type: 'error', ...failure } : { type: 'done', stopped, cut };
    if (!kept) return last;
    const ending: Ending = {
      state: failure ? 'failed' : stopped ? 'stopped' : 'done',
      content: answer.transcript.text,
      error: failure,
      isCut: cut,
      ...keyOf(end?.said ?? {}),
      inputTokens: end?.settled?.inputTokens ?? null,
      outputTokens: end?.settled?.outputTokens ?? null,
      costNanoUsd: end?.settled?.costNanoUsd ?? null,
      requestId: end?.requestId ?? null,
      handover: colleague,
    };
    try {
      await conversations.finish(kept, answer.messageId, ending);
      return last;
    } catch (error) {
      log.error({ requestId: end?.requestId }, 'An answer could not be kept', error);
      keepLater(kept, answer.messageId, ending);
      return { type: 'error', code: 'storage_unavailable', detail: 'This answer could not be kept: copy what you need of it.' };
    }
  }

  /** Again and again: until then its conversation looks as if it were still answered, and takes no new answer in its place. */
  function keepLater(kept: Kept, messageId: string, ending: Ending): void {
    clock.after(keepAgainMs, () => void conversations.finish(kept, messageId, ending).catch(() => keepLater(kept, messageId, ending)));
  }

  return {
    roster,
    ask,

    /** What comes after the event of that id; none: all of it. @throws AppError `not_found`, `limit_reached` */
    listen(caller: Caller, answerId: string, lastEventId: string | null, signal: AbortSignal): AsyncGenerator<Numbered, void> {
      return answers.listen(caller, answerId, placeIn(answerId, lastEventId), signal);
    },

    /** Nothing happens where it has ended. @throws AppError `not_found` */
    stop(caller: Caller, answerId: string): void {
      answers.find(caller.userId, answerId).callOff('stopped');
    },

    /** The answer that is under way there; null: none. */
    openIn: (conversationId: string): string | null => answers.openIn(conversationId)?.answerId ?? null,

    /** Ends what is under way in a conversation that goes. */
    leave(conversationId: string): void {
      answers.openIn(conversationId)?.callOff('stopped');
    },

    leaveAll: answers.stopAll,

    listeners: answers.listeners,
    unheard: answers.unheard,
    drain: answers.drain,
    interrupt: answers.interrupt,
    idle: answers.idle,
  };
}

interface Spoken {
  /** null: nothing was sent. */
  end: Over | null;
  cut: boolean;
  failure: Failure | null;
}
interface Ended extends Spoken {
  colleague: string | null;
}

const whyCalledOff: Readonly<Record<NonNullable<Answer['calledOff']>, Failure | null>> = {
  stopped: null,
  interrupted: { code: 'interrupted', detail: interrupted },
  endless,
};

/** The id of an event: that of its answer, and its place in it. */
export const eventId = (answerId: string, { at }: Numbered): string => `${answerId}:${at}`;

function placeIn(answerId: string, lastEventId: string | null): number {
  const [, id, at] = /^([0-9a-f-]{36}):(\d{1,9})$/.exec(lastEventId ?? '') ?? [];
  return id === answerId ? Number(at) : 0;
}

function startOf({ conversationId, messageId, userMessageId }: Answer, { agent, voice, dropped }: Scene, said: Over['said']): AnswerEvent {
  return {
    ...{ type: 'start', conversationId, messageId, userMessageId },
    ...{ agent: agent.slug, provider: voice.provider.id, model: voice.model, ...keyOf(said), droppedTurns: dropped },
  };
}

/** What the gateway's headers say of the key. */
function keyOf(said: Over['said']): { keySource: KeySource | null; fallbackReason: FallbackReason | null } {
  return {
    keySource: (said['x-byok-key-source'] as KeySource | undefined) ?? null,
    fallbackReason: (said['x-byok-fallback-reason'] as FallbackReason | undefined) ?? null,
  };
}

function usageOf({ settled, requestId }: Over): AnswerEvent {
  const cost = settled?.costNanoUsd ?? null;
  return {
    type: 'usage',
    inputTokens: settled?.inputTokens ?? null,
    outputTokens: settled?.outputTokens ?? null,
    estimatedCostUsd: cost === null ? null : toUsd(cost),
    requestId,
  };
}

const pastTurn = ({ role, content, attachments = [] }: NonNullable<Ask['history']>[number]): Past => ({
  role,
  content,
  attachments,
  agent: null,
});
/** From a question on: they stand at even positions, and their answers behind them. */
function viewed(past: readonly Message[]): Pick<Place, 'past' | 'skipped'> {
  const whole = past[0]?.role === 'assistant' ? past.slice(1) : past;
  return { past: whole.map(pastMessage), skipped: Math.floor((whole[0]?.position ?? past.at(-1)?.position ?? 0) / 2) };
}
const pastMessage = ({ role, content, attachments, agent }: Message): Past => ({ role, content, attachments, agent });

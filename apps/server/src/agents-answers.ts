/** The answers under way, and those that have just ended: who may listen to them, how many there may be, and when they are forgotten. */
import { AppError, type Asked } from '@synthstack/core';
import { createTranscript, type Numbered, type Transcript } from './agents-transcript.ts';
import type { Caller } from './callers.ts';
import type { Clock } from './ports/clock.ts';
import type { WatchSession } from './session-watch.ts';

export interface AnswersParts {
  clock: Clock;
  watchSession: WatchSession;
}

/** Why an answer ends before the model has said all. */
export type CalledOff = 'stopped' | 'interrupted' | 'endless';

export interface Answer extends Asked {
  userId: string;
  transcript: Transcript;
  signal: AbortSignal;
  /** null: nobody has. */
  calledOff: CalledOff | null;
  callOff(why: CalledOff): void;
}

const mostOfOneUser = 5;
/** Questions are written down also where a limit refuses to answer them, so they have one of their own. */
const mostAMinute = 60;
const mostListenersOfOneUser = 20;
const mostListeners = 1_000;
/** How long an answer that has ended can still be listened to. */
const keptMs = 300_000;
/** How long an answer that is kept nowhere goes on for nobody. */
const unheardMs = 30_000;

interface Listener {
  userId: string;
  /** Its session has ended. */
  signedOut: AbortController;
  unwatch(): void;
}

export type Answers = ReturnType<typeof createAnswers>;

export function createAnswers({ clock, watchSession }: AnswersParts) {
  const answers = new Map<string, Answer>();
  const open = new Set<Answer>();
  const listeners = new Map<Listener, Answer>();
  /** Ends the waiting for somebody who listens: each who has left gives the answer the whole time anew. */
  const unheard = new WeakMap<Answer, () => void>();
  /** When each user's last questions were, in ms. */
  const asked = new Map<string, number[]>();
  let idle = Promise.withResolvers<void>();
  let isStopped = false;

  const listenersOf = (answer: Answer) => [...listeners.values()].filter((one) => one === answer).length;

  /** An answer that is kept nowhere is nobody's once its listeners are gone. */
  function watchUnheard(answer: Answer): void {
    if (answer.conversationId !== null || !open.has(answer) || listenersOf(answer) > 0) return;
    unheard.get(answer)?.();
    const cancel = clock.after(unheardMs, () => {
      if (open.has(answer) && listenersOf(answer) === 0) answer.callOff('stopped');
    });
    unheard.set(answer, cancel);
  }

  function countQuestion(userId: string): void {
    const since = clock.now() - 60_000;
    const recent = (asked.get(userId) ?? []).filter((at) => at > since);
    if (recent.length >= mostAMinute) throw tooManyAsked();
    asked.set(userId, [...recent, clock.now()]);
    clock.after(60_000, () => {
      if (asked.get(userId)?.every((at) => at <= clock.now() - 60_000)) asked.delete(userId);
    });
  }

  function leaveOpen(answer: Answer): void {
    open.delete(answer);
    if (open.size > 0) return;
    idle.resolve();
    idle = Promise.withResolvers();
  }

  /** @throws AppError `not_found`: there is none, it is someone else's, or it ended more than five minutes ago */
  function find(userId: string, answerId: string): Answer {
    const found = answers.get(answerId);
    if (found?.userId !== userId) throw notFound();
    return found;
  }

  function join(caller: Caller, answer: Answer): Listener {
    const own = [...listeners.keys()].filter(({ userId }) => userId === caller.userId).length;
    if (own >= mostListenersOfOneUser || listeners.size >= mostListeners) throw tooManyListen();
    const { userId, sessionId } = caller;
    const signedOut = new AbortController();
    const unwatch = sessionId === null ? () => undefined : watchSession({ userId, sessionId }, () => signedOut.abort());
    const listener = { userId, signedOut, unwatch };
    listeners.set(listener, answer);
    return listener;
  }

  async function* tell(answer: Answer, listener: Listener, after: number, signal: AbortSignal): AsyncGenerator<Numbered, void> {
    try {
      yield* answer.transcript.follow(after, AbortSignal.any([signal, listener.signedOut.signal]));
    } finally {
      listeners.delete(listener);
      listener.unwatch();
      watchUnheard(answer);
    }
  }

  return {
    find,

    /** An answer is under way in that conversation. */
    openIn: (conversationId: string): Answer | null => [...open].find((one) => one.conversationId === conversationId) ?? null,

    /** @throws AppError `limit_reached`: five of that user are under way; `draining` */
    admit(userId: string): void {
      if (isStopped) throw new AppError('draining', 'This server is restarting. Try again in a moment.', { retryAfterMs: 1_000 });
      if ([...open].filter((one) => one.userId === userId).length >= mostOfOneUser) throw tooManyOpen();
    },

    /** It is open until `close`. @throws AppError as `admit` does, also for too many in a minute; `conflict`: one is under way there */
    begin(userId: string, asked: Asked): Answer {
      this.admit(userId);
      if (asked.conversationId !== null && this.openIn(asked.conversationId)) throw busy();
      countQuestion(userId);
      const abort = new AbortController();
      const answer: Answer = {
        ...asked,
        userId,
        transcript: createTranscript(),
        signal: abort.signal,
        calledOff: null,
        callOff(why) {
          answer.calledOff ??= why;
          abort.abort();
        },
      };
      answers.set(answer.answerId, answer);
      open.add(answer);
      watchUnheard(answer);
      return answer;
    },

    /** It has been told to its end. */
    close(answer: Answer): void {
      clock.after(keptMs, () => answers.delete(answer.answerId));
      leaveOpen(answer);
    },

    /** It never came about. */
    forget(answer: Answer): void {
      answers.delete(answer.answerId);
      leaveOpen(answer);
    },

    /**
     * Tells an answer from `after` on, and ends with it, with the signal, or within a minute after the listener's session. Must be read, or
     * it counts as listening for ever.
     * @throws AppError `not_found`, `limit_reached`, at once
     */
    listen(caller: Caller, answerId: string, after: number, signal: AbortSignal): AsyncGenerator<Numbered, void> {
      const answer = find(caller.userId, answerId);
      return tell(answer, join(caller, answer), after, signal);
    },

    /** All of a user's that are kept. */
    stopAll(userId: string): void {
      for (const answer of open) if (answer.userId === userId && answer.conversationId !== null) answer.callOff('stopped');
    },

    /** How many listen. */
    listeners: (): number => listeners.size,
    /** How many are under way to which nobody listens. */
    unheard: (): number => [...open].filter((answer) => listenersOf(answer) === 0).length,

    /** From now on none begins. */
    drain(): void {
      isStopped = true;
    },
    /** Ends those under way; what they have said is kept, and that they were interrupted. */
    interrupt(): void {
      isStopped = true;
      for (const answer of open) answer.callOff('interrupted');
    },
    /** Resolves when none is under way. */
    async idle(): Promise<void> {
      while (open.size > 0) await idle.promise;
    },
  };
}

const busy = () => new AppError('conflict', 'An answer is under way in this conversation. Wait for it, or stop it first.');
const notFound = () => new AppError('not_found', 'There is no such answer under way. The conversation shows what became of it.');
const tooManyOpen = () =>
  new AppError(
    'limit_reached',
    `You have ${mostOfOneUser} answers under way, which is as many as there may be. Wait for one, or stop it.`,
    {
      retryAfterMs: 5_000,
    },
  );
const tooManyAsked = () =>
  new AppError('limit_reached', `You have asked ${mostAMinute} questions within a minute. Wait a moment.`, { retryAfterMs: 10_000 });
const tooManyListen = () =>
  new AppError('limit_reached', 'You follow as many answers as there may be at once. Close a page, or reload this one.', {
    retryAfterMs: 5_000,
  });

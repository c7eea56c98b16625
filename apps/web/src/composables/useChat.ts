import { useQueryCache } from '@pinia/colada';
import type { AnswerEvent, Ask, Asked, Attachment, ConversationView, ProviderId } from '@synthstack/core';
import { computed, onScopeDispose, reactive, ref } from 'vue';
import { api } from '../api.ts';
import { adopt, apply, type ChatMessage, fail, fromView, historyOf, openAnswer, question, totalsOf } from '../chat/messages.ts';
import { ear } from '../ear.ts';
import { t } from '../i18n/i18n.ts';
import { problemOf } from '../problem.ts';
import { conversationsKey } from './useConversations.ts';
import { keysKey } from './useKeys.ts';
import { limitsKey } from './usePlan.ts';

export interface Choice {
  provider: ProviderId;
  model: string;
}
/** What is asked, besides whom and with what. */
type Question = Pick<Ask, 'content' | 'attachments' | 'replaces' | 'regenerates'>;

/** How long to wait before a lost answer is looked for again; the last one, again and again. */
const waitsMs = [500, 1_000, 2_000, 4_000, 8_000];
/** An answer that is kept nowhere and could not be heard so many times is lost. */
const mostTries = 4;

/**
 * One conversation: what was said, and the answer under way, which goes on at the server whoever listens. Verbs do not reject: what
 * went wrong stands at the answer that did not come.
 * @param onKept  a new conversation got its id
 */
export function useChat(onKept: (id: string) => void) {
  const cache = useQueryCache();
  const messages = ref<ChatMessage[]>([]);
  const about = ref<Pick<ConversationView, 'id' | 'title' | 'provider' | 'model' | 'hidden'> | null>(null);
  const agent = ref('');
  const chosen = ref<Choice | null>(null);
  const loading = ref(false);
  const failure = ref<unknown>(null);
  /** Each opening of another conversation is a time of its own: what comes late belongs to the one before. */
  let time = 0;
  let listening: { unsubscribe(): void } | null = null;
  let wait: ReturnType<typeof setTimeout> | undefined;
  let isStopWanted = false;

  const last = computed(() => messages.value.at(-1));
  const isAnswering = computed(() => last.value?.role === 'assistant' && last.value.state === 'open');

  function leave(): void {
    time += 1;
    listening?.unsubscribe();
    listening = null;
    clearTimeout(wait);
    isStopWanted = false;
  }
  onScopeDispose(leave);

  /** A conversation that is still to begin. */
  function begin(slug: string): void {
    leave();
    [messages.value, about.value, agent.value, chosen.value, failure.value, loading.value] = [[], null, slug, null, null, false];
  }

  /** One that is kept, with the answer that may be under way in it. */
  async function open(id: string): Promise<void> {
    begin('');
    const mine = time;
    loading.value = true;
    try {
      const view = await api.conversations.get.query({ id });
      if (mine === time) show(view);
    } catch (error) {
      if (mine === time) failure.value = error;
    } finally {
      if (mine === time) loading.value = false;
    }
  }

  function show(view: ConversationView): void {
    const { id, title, provider, model, hidden, answerId } = view;
    about.value = { id, title, provider, model, hidden };
    agent.value = view.agent;
    messages.value = view.messages.map(fromView);
    const answer = messages.value.find((message) => message.id === answerId);
    if (answerId && answer) listen(answer, answerId);
    // It is being written down, or another process makes it: the conversation will say what became of it.
    else if (last.value?.state === 'open') lost(last.value, last.value.id ?? '', null, 0);
  }

  /** Looks whether something was said elsewhere, in another tab for one. */
  async function refresh(): Promise<void> {
    const [mine, id] = [time, about.value?.id];
    if (!id || isAnswering.value || loading.value) return;
    const view = await api.conversations.get.query({ id }).catch(() => null);
    if (!view || mine !== time || isAnswering.value) return;
    const here = messages.value.filter(({ id }) => id !== null);
    if (view.messages.length === here.length && view.messages.at(-1)?.id === here.at(-1)?.id) about.value = { ...view };
    else showAround(view);
  }

  /** A question that never reached the server stays, unless it did, and only the server's word on it was lost. */
  function showAround(view: ConversationView): void {
    const known = new Set(messages.value.map(({ id }) => id));
    const fresh = view.messages.filter(({ id, role }) => role === 'user' && !known.has(id));
    const unsent = messages.value.slice(messages.value.findIndex(isUnsent));
    const isThere = fresh.some(({ content }) => content === unsent[0]?.content);
    const stays = unsent.every(isUnsent) && !isThere ? unsent : [];
    show(view);
    messages.value.push(...stays);
  }

  // Asking

  async function ask(input: Question, whom = agent.value): Promise<void> {
    if (isAnswering.value) return;
    agent.value = whom;
    const before = messages.value.slice();
    const asker = input.regenerates ? dropAnswer() : putQuestion(input, whom);
    const answer = reactive(openAnswer(whom));
    messages.value.push(answer);
    const mine = time;
    isStopWanted = false;
    try {
      const asked = await api.agents.ask.mutate(wire(input, whom, asker));
      if (mine !== time) return;
      begun(asked, input.regenerates ? undefined : asker, answer);
    } catch (error) {
      if (mine === time) refused(error, answer, input, before);
    }
  }

  function dropAnswer(): ChatMessage | undefined {
    const at = messages.value.findLastIndex(({ role }) => role === 'user');
    messages.value.splice(at + 1);
    return messages.value[at];
  }

  function putQuestion({ content = '', attachments, replaces }: Question, whom: string): ChatMessage {
    const replaced = replaces ? messages.value.findIndex(({ id, key }) => id === replaces || key === replaces) : -1;
    const old = messages.value[replaced];
    if (replaced >= 0) messages.value.splice(replaced);
    const asker = reactive(question(whom, content, attachments ?? old?.files ?? []));
    if (old && !attachments) asker.attachments = old.attachments;
    messages.value.push(asker);
    return asker;
  }

  /** What is kept, the server knows; of the rest it is told each time. */
  function wire({ content, attachments, replaces, regenerates }: Question, whom: string, asker: ChatMessage | undefined): Ask {
    const choice = chosen.value ?? {};
    if (about.value) {
      const files = attachments?.length ? { attachments } : {};
      const what = regenerates ? { regenerates } : { content: content ?? '', ...files, ...(replaces && { replaces }) };
      return { agent: whom, conversationId: about.value.id, ...choice, ...what };
    }
    const history = historyOf(messages.value.slice(0, asker ? messages.value.indexOf(asker) : 0));
    const files = asker?.files?.length ? { attachments: asker.files } : {};
    return { agent: whom, content: asker?.content ?? '', ...(history.length > 0 && { history }), ...files, ...choice };
  }

  function begun(asked: Asked, asker: ChatMessage | undefined, answer: ChatMessage): void {
    adopt(asked, asker, answer);
    if (asked.conversationId && !about.value) {
      about.value = { id: asked.conversationId, title: null, provider: null, model: null, hidden: 0 };
      onKept(asked.conversationId);
    }
    void cache.invalidateQueries({ key: conversationsKey });
    listen(answer, asked.answerId);
    if (isStopWanted) void stop();
  }

  /** Nothing was asked: what stood there before stays, if the server still has it. */
  function refused(error: unknown, answer: ChatMessage, input: Question, before: ChatMessage[]): void {
    const { code, message } = problemOf(error);
    if (input.regenerates || input.replaces) {
      messages.value = before;
      const there = last.value;
      if (there?.role === 'assistant') there.error = { code, detail: message };
    } else {
      fail(answer, code, message);
      // Somebody may have been faster, or it did get there.
      void refresh();
    }
  }

  /** It never reached the server. */
  const isUnsent = ({ id }: ChatMessage) => about.value !== null && id === null;

  function askAnew(asker: ChatMessage, content: string): Promise<void> {
    messages.value.splice(messages.value.indexOf(asker));
    return ask({ content, ...(asker.files?.length && { attachments: asker.files }) });
  }

  // Listening

  function listen(answer: ChatMessage, answerId: string, lastEventId: string | null = null, tries = 0): void {
    const mine = time;
    let heardId = lastEventId;
    let failed = tries;
    const isCurrent = () => mine === time && answer.state === 'open';
    listening?.unsubscribe();
    listening = ear.agents.answer.subscribe(
      { answerId, lastEventId },
      {
        onData({ id, data }) {
          if (!isCurrent()) return;
          [heardId, failed, answer.isCutOff] = [id, 0, false];
          apply(answer, data as AnswerEvent);
          if (answer.state !== 'open') ended();
        },
        onConnectionStateChange({ state, error }) {
          if (!isCurrent()) return;
          // The browser connects again by itself.
          if (state === 'connecting' && error) answer.isCutOff = true;
          else if (state === 'pending') answer.isCutOff = false;
        },
        onError: () => void (isCurrent() && lost(answer, answerId, heardId, failed)),
        onComplete: () => void (isCurrent() && lost(answer, answerId, heardId, failed)),
      },
    );
  }

  /** The server does not tell it (any more): its conversation says what became of it. */
  function lost(answer: ChatMessage, answerId: string, heardId: string | null, tries: number): void {
    answer.isCutOff = true;
    listening?.unsubscribe();
    clearTimeout(wait);
    const mine = time;
    wait = setTimeout(
      () => {
        if (mine === time && answer.state === 'open') void recover(answer, answerId, heardId, tries + 1);
      },
      waitsMs[Math.min(tries, waitsMs.length - 1)],
    );
  }

  async function recover(answer: ChatMessage, answerId: string, heardId: string | null, tries: number): Promise<void> {
    const [mine, id] = [time, about.value?.id];
    if (!id) {
      if (tries < mostTries) return listen(answer, answerId, heardId, tries);
      fail(answer, 'interrupted', t('chat.lost'));
      return ended();
    }
    const view = await api.conversations.get.query({ id }).catch(problemOf);
    if (mine !== time || answer.state !== 'open') return;
    if ('code' in view) {
      if (view.code !== 'not_found') return lost(answer, answerId, heardId, tries);
      fail(answer, view.code, view.message);
      return ended();
    }
    if (view.answerId === answerId) return listen(answer, answerId, heardId, tries);
    const kept = view.messages.find((message) => message.id === answerId);
    if (!kept) return show(view);
    if (kept.state === 'open') return lost(answer, answerId, heardId, tries);
    const { key, content } = answer;
    Object.assign(answer, fromView(kept), { key, isCutOff: false });
    // The server had written what was said up to some moment before it died.
    if (content.startsWith(kept.content)) answer.content = content;
    ended();
  }

  function ended(): void {
    listening?.unsubscribe();
    listening = null;
    if (about.value && about.value.title === null) void nameIt(about.value.id);
    for (const key of [conversationsKey, limitsKey, keysKey]) void cache.invalidateQueries({ key });
  }

  async function nameIt(id: string): Promise<void> {
    const view = await api.conversations.get.query({ id }).catch(() => null);
    if (view && about.value?.id === id) about.value = { ...about.value, title: view.title, provider: view.provider, model: view.model };
  }

  async function stop(): Promise<void> {
    const answerId = last.value?.id;
    isStopWanted = true;
    if (!isAnswering.value || !answerId) return;
    // Where it cannot be told, the answer goes on, and so does the button.
    await api.agents.stop.mutate({ answerId }).catch(() => undefined);
  }

  return {
    ...{ messages, about, agent, chosen, loading, failure, isAnswering, totals: computed(() => totalsOf(messages.value)) },
    ...{ begin, open, refresh, stop },
    send: (content: string, attachments: Attachment[], whom?: string) => ask({ content, ...(attachments.length && { attachments }) }, whom),
    /** @param message  one of the person's own; it and all that came after it go */
    edit: (message: ChatMessage, content: string) =>
      isUnsent(message) ? askAnew(message, content) : ask({ content, replaces: message.id ?? message.key }),

    /** Once more, from the question on. */
    async regenerate(): Promise<void> {
      const asker = messages.value.findLast(({ role }) => role === 'user');
      if (!asker) return;
      if (!isUnsent(asker)) return ask({ regenerates: true });
      // It may have got there although nothing came back.
      await refresh();
      if (messages.value.includes(asker)) await askAnew(asker, asker.content);
    },
  };
}

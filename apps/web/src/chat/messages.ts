/** A conversation as a page shows it, and what each event of an answer changes in it. */
import { type AnswerEvent, type Ask, type Asked, type Attachment, type MessageView, maxHistory, maxHistoryContent } from '@synthstack/core';
import { bytesOf } from './files.ts';

export interface ChatMessage extends Omit<MessageView, 'id' | 'attachments' | 'requestId' | 'createdAt'> {
  /** Stays the same from the moment when it is shown; the server's id comes later. */
  key: string;
  /** null: the server does not have it (yet), or keeps nothing. */
  id: string | null;
  attachments: { name: string; size: number }[];
  /** Of files that are still at hand: where nothing is kept, the next question takes them along. */
  files?: Attachment[];
  /** The connection broke, and is being made again. */
  isCutOff?: boolean;
}

let made = 0;
function newKey(): string {
  made += 1;
  return `message-${made}`;
}

const nothingYet = {
  error: null,
  isCut: false,
  provider: null,
  model: null,
  keySource: null,
  fallbackReason: null,
  inputTokens: null,
  outputTokens: null,
  estimatedCostUsd: null,
  handover: null,
  droppedTurns: 0,
} as const;

export function question(agent: string, content: string, files: Attachment[]): ChatMessage {
  const attachments = files.map(({ name, text }) => ({ name, size: bytesOf(text) }));
  return { ...nothingYet, key: newKey(), id: null, role: 'user', content, attachments, files, agent, state: 'done' };
}

export function openAnswer(agent: string): ChatMessage {
  return { ...nothingYet, key: newKey(), id: null, role: 'assistant', content: '', attachments: [], agent, state: 'open' };
}

export const fromView = ({ requestId: _request, createdAt: _created, ...view }: MessageView): ChatMessage => ({ ...view, key: newKey() });

type Turn = NonNullable<Ask['history']>[number];
/** Bytes of a question's body for what was said before, of the 2 MiB that the server takes. */
const mostHistoryBytes = 1_000_000;

/** What was said, as far as a question may take it along: the newest of it, from a question on. */
export function historyOf(past: readonly ChatMessage[]): Turn[] {
  const turns: Turn[] = [];
  let from = 0;
  let [characters, bytes] = [0, 0];
  for (const { role, content, files } of past.toReversed()) {
    if (content.trim() === '') continue;
    const turn = { role, content, ...(files?.length && { attachments: files }) };
    characters += content.length;
    bytes += bytesOf(JSON.stringify(turn));
    if (turns.length === maxHistory || characters > maxHistoryContent || bytes > mostHistoryBytes) break;
    turns.push(turn);
    if (role === 'user') from = turns.length;
  }
  return turns.slice(0, from).reverse();
}

/** The two get the ids that the server gave them. */
export function adopt(asked: Asked, asker: ChatMessage | undefined, answer: ChatMessage): void {
  if (asker) asker.id = asked.userMessageId;
  answer.id = asked.messageId;
}

export function apply(answer: ChatMessage, event: AnswerEvent): void {
  switch (event.type) {
    case 'start': {
      const { agent, provider, model, keySource, fallbackReason, droppedTurns } = event;
      // Told from its beginning, possibly not for the first time.
      Object.assign(answer, { agent, provider, model, keySource, fallbackReason, droppedTurns, content: '' });
      break;
    }
    case 'delta':
      answer.content += event.text;
      break;
    case 'handover':
      answer.handover = event.agent;
      break;
    case 'usage': {
      const { inputTokens, outputTokens, estimatedCostUsd } = event;
      Object.assign(answer, { inputTokens, outputTokens, estimatedCostUsd });
      break;
    }
    case 'done':
      Object.assign(answer, { state: event.stopped ? 'stopped' : 'done', isCut: event.cut, isCutOff: false });
      break;
    case 'error':
      fail(answer, event.code, event.detail);
  }
}

export function fail(answer: ChatMessage, code: string, detail: string): void {
  Object.assign(answer, { state: 'failed', error: { code, detail }, isCutOff: false });
}

/** It was sent on somebody's key; one that was refused before that has cost nothing. */
export const hasCost = ({ role, keySource, content, inputTokens, outputTokens }: ChatMessage): boolean =>
  role === 'assistant' && keySource !== null && (content !== '' || inputTokens !== null || outputTokens !== null);

export interface Totals {
  tokens: number;
  costUsd: number;
  /** Answers of which the one or the other is not known. */
  unknown: number;
}

/** What the answers that are shown have cost together. */
export function totalsOf(messages: readonly ChatMessage[]): Totals {
  const totals = { tokens: 0, costUsd: 0, unknown: 0 };
  for (const message of messages) {
    if (message.state === 'open' || !hasCost(message)) continue;
    const { inputTokens, outputTokens, estimatedCostUsd } = message;
    totals.tokens += (inputTokens ?? 0) + (outputTokens ?? 0);
    totals.costUsd += estimatedCostUsd ?? 0;
    if (estimatedCostUsd === null) totals.unknown += 1;
  }
  return totals;
}

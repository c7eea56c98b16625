/** A conversation as a file that its owner can keep: Markdown to read, JSON to use. Written as it is read, so its length costs no memory. */
import { type ConversationExport, toUsd } from '@synthstack/core';
import { type Conversations, type Message, messageView } from '../conversations.ts';

interface ExportParts {
  conversations: Conversations;
  userId: string;
  id: string;
  format: ConversationExport['format'];
  /** An agent's name; its slug where it is gone. */
  nameOf(slug: string): string;
}

export interface ExportedFile {
  contentType: string;
  fileName: string;
  parts: AsyncIterable<string>;
}

/** @throws AppError `not_found`, `key_unusable`: before the first part */
export async function exportConversation({ conversations, userId, id, format, nameOf }: ExportParts): Promise<ExportedFile> {
  const kept = await conversations.open(userId, id);
  const head = conversations.head(kept.row);
  const messages = conversations.everyMessage(kept);
  // The title is its owner's text, and belongs in no header.
  const fileName = `conversation-${head.createdAt.slice(0, 10)}-${id.slice(0, 8)}`;
  return format === 'json'
    ? { contentType: 'application/json', fileName: `${fileName}.json`, parts: asJson(head, messages) }
    : { contentType: 'text/markdown; charset=utf-8', fileName: `${fileName}.md`, parts: asMarkdown(head, messages, nameOf) };
}

type Head = ReturnType<Conversations['head']>;

async function* asJson(head: Head, messages: AsyncIterable<Message>): AsyncGenerator<string> {
  yield `${JSON.stringify(head).slice(0, -1)},"messages":[`;
  let before = '\n';
  for await (const message of messages) {
    yield before + JSON.stringify({ ...messageView(message), attachments: message.attachments });
    before = ',\n';
  }
  yield '\n]}\n';
}

async function* asMarkdown(
  { title, createdAt }: Head,
  messages: AsyncIterable<Message>,
  nameOf: ExportParts['nameOf'],
): AsyncGenerator<string> {
  yield `# ${title ?? 'Conversation'}\n\n${createdAt}\n`;
  for await (const message of messages) {
    const who = message.role === 'user' ? 'You' : nameOf(message.agent);
    const files = message.attachments.map(({ name, text }) => `\n${fenced(`${name}\n\n${text}`)}\n`);
    yield `\n## ${who}\n\n${whole(message.content)}\n${files.join('')}${facts(message)}`;
  }
}

/** What stands below an answer. */
function facts({ role, provider, model, keySource, costNanoUsd, inputTokens, outputTokens, state, detail }: Message): string {
  if (role === 'user') return '';
  const tokens = inputTokens === null && outputTokens === null ? [] : [`${inputTokens ?? '?'} + ${outputTokens ?? '?'} tokens`];
  const cost = costNanoUsd === null ? [] : [`$${toUsd(costNanoUsd)}`];
  const whose = keySource === null ? [] : [keySource === 'user' ? 'own key' : "the platform's key"];
  const end = state === 'done' ? [] : [detail ?? state];
  return `\n*${[provider, model, ...whose, ...tokens, ...cost, ...end].filter(Boolean).join(' · ')}*\n`;
}

/** A fence that was cut off would take in all that follows. */
function whole(text: string): string {
  let open = '';
  for (const [, mark = '', rest = ''] of text.matchAll(/^ {0,3}(`{3,}|~{3,})(.*)$/gm)) {
    if (open === '') open = mark.startsWith('`') && rest.includes('`') ? '' : mark;
    else if (mark[0] === open[0] && mark.length >= open.length && rest.trim() === '') open = '';
  }
  return open === '' ? text : `${text}\n${open}`;
}

/** In a fence that is longer than any in the text. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`{3,}/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}

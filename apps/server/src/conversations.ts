/** What people and agents have said to each other, kept sealed for its owner (conversations-sealing.ts), or not at all where they want it so. */
import { setImmediate as turn } from 'node:timers/promises';
import {
  AppError,
  type Attachment,
  type ConversationPage,
  type ConversationSummary,
  type FallbackReason,
  type KeySource,
  type MessageView,
  type ProviderId,
  toUsd,
} from '@synthstack/core';
import { atomically, type Db, must, type Statement, type Tables } from '@synthstack/core/db';
import type { Keyring } from '@synthstack/core/keyring';
import { and, asc, count, desc, eq, gte, inArray, lt, ne, notInArray, or, type SQL, sql } from 'drizzle-orm';
import { type DataKey, newDataKey, openDataKey } from './conversations-sealing.ts';
import type { Clock } from './ports/clock.ts';

export interface ConversationsParts {
  db: Db;
  keyring: Keyring;
  clock: Clock;
  /** The statements that count one use of the master key. */
  countSeal(): Promise<Statement[]>;
}

type Row = Tables['conversation']['$inferSelect'];
type MessageRow = Tables['message']['$inferSelect'];

/** One of the caller's, with the key that opens what is in it. */
export interface Kept {
  row: Row;
  key: DataKey;
}

export interface Message extends Omit<MessageRow, 'body'> {
  content: string;
  attachments: Attachment[];
  /** What an error said. */
  detail: string | null;
}

export interface Question {
  id: string;
  content: string;
  attachments: Attachment[];
}

/** What is written before an answer is sought: the question, and a place for the answer. */
export interface Beginning {
  id: string;
  userId: string;
  /** null: a new conversation. */
  kept: Kept | null;
  agent: string;
  provider: ProviderId;
  /** Chosen; null: what the agent prefers. */
  model: string | null;
  /** null: it is there already. */
  question: Question | null;
  answer: { id: string; model: string; droppedTurns: number; bootId: string };
  /** The first position that is written. */
  at: number;
  /** All that is there from that position on goes; else nothing may be there. */
  replaces: boolean;
}

/** So many messages, of so many sealed bytes together: to open more at once would hold up everybody else. */
export interface Most {
  messages: number;
  bytes: number;
}

/** What became of an answer. */
export interface Ending {
  state: 'done' | 'stopped' | 'failed';
  content: string;
  error: { code: string; detail: string } | null;
  isCut: boolean;
  keySource: KeySource | null;
  fallbackReason: FallbackReason | null;
  inputTokens: number | null;
  outputTokens: number | null;
  costNanoUsd: number | null;
  requestId: string | null;
  handover: string | null;
}

const pageSize = 50;
const mostFound = 200;
const mostSearched = 2_000;
const titleLength = 60;
const exportPage = 20;
/** A turn for the others after so many titles. */
const titlesPerTurn = 200;

export type Conversations = ReturnType<typeof createConversations>;

export function createConversations({ db, keyring, clock, countSeal }: ConversationsParts) {
  const { conversation, message, keepsNothing } = db.tables;
  const mine = (userId: string, id: string) => and(eq(conversation.id, id), eq(conversation.userId, userId));
  const keyOf = (row: Row) => openDataKey(keyring, row, row);

  async function rowOf(userId: string, id: string): Promise<Row> {
    const [row] = await db.orm.select().from(conversation).where(mine(userId, id));
    if (!row) throw notFound();
    return row;
  }

  /** @throws AppError `not_found`: no such conversation, or someone else's; `key_unusable` */
  async function open(userId: string, id: string): Promise<Kept> {
    const row = await rowOf(userId, id);
    return { row, key: keyOf(row) };
  }

  async function messagesOf({ row, key }: Kept, where: SQL | undefined, limit: number, newestFirst: boolean): Promise<Message[]> {
    const rows = await db.orm
      .select()
      .from(message)
      .where(and(eq(message.conversationId, row.id), where))
      .orderBy(newestFirst ? desc(message.position) : asc(message.position))
      .limit(limit);
    return rows.map((one) => opened(key, one));
  }

  /** The position from which on there are no more messages and bytes than that; the newest question with its answer is always there. */
  async function firstOf({ row }: Kept, { messages, bytes }: Most, where: SQL | undefined): Promise<number> {
    const sizes = await db.orm
      .select({ position: message.position, bytes: sql<number>`octet_length(${message.body})` })
      .from(message)
      .where(and(eq(message.conversationId, row.id), where))
      .orderBy(desc(message.position))
      .limit(messages);
    let left = bytes;
    const beyond = sizes.findIndex((one, i) => {
      left -= Number(one.bytes);
      return i > 1 && left < 0;
    });
    return (beyond === -1 ? sizes.at(-1) : sizes[beyond - 1])?.position ?? 0;
  }

  async function summaries(rows: readonly Row[]): Promise<ConversationSummary[]> {
    if (rows.length === 0) return [];
    const ids = rows.map(({ id }) => id);
    const counted = await db.orm
      .select({ id: message.conversationId, messages: count() })
      .from(message)
      .where(inArray(message.conversationId, ids))
      .groupBy(message.conversationId);
    const counts = new Map(counted.map(({ id, messages }) => [id, Number(messages)]));
    return rows.map((row) => ({ ...head(row), messages: counts.get(row.id) ?? 0 }));
  }

  function head(row: Row) {
    return {
      id: row.id,
      title: titleOf(row),
      agent: row.agent,
      createdAt: row.createdAt.toISOString(),
      updatedAt: row.updatedAt.toISOString(),
    };
  }

  /** null: it cannot be opened. */
  function titleOf(row: Row): string | null {
    try {
      return keyOf(row).open('title', row.title);
    } catch (error) {
      if (error instanceof AppError && error.code === 'key_unusable') return null;
      throw error;
    }
  }

  /** The newest first. */
  const rowsOf = (userId: string, where: SQL | undefined, limit: number): Promise<Row[]> =>
    db.orm
      .select()
      .from(conversation)
      .where(and(eq(conversation.userId, userId), where))
      .orderBy(desc(conversation.updatedAt), desc(conversation.id))
      .limit(limit);

  async function search(userId: string, query: string): Promise<ConversationPage> {
    const wanted = query.toLocaleLowerCase();
    const found: Row[] = [];
    for (const [i, row] of (await rowsOf(userId, undefined, mostSearched)).entries()) {
      if (titleOf(row)?.toLocaleLowerCase().includes(wanted)) found.push(row);
      if (found.length === mostFound) break;
      if (i % titlesPerTurn === titlesPerTurn - 1) await turn();
    }
    return { conversations: await summaries(found), nextCursor: null };
  }

  /** Deleted ciphertext is taken out of the files too; where that fails, it is the next deletion's. */
  const scrub = () => db.scrub().catch(() => undefined);

  async function newConversation({ id, userId, agent, provider, model, question }: Beginning, now: Date): Promise<[Kept, Statement[]]> {
    const { key, sealed } = newDataKey(keyring, { userId, id });
    const title = key.seal('title', titleFor(question?.content ?? ''));
    const row = { id, userId, agent, ...sealed, title, provider, model, createdAt: now, updatedAt: now };
    return [{ row, key }, await countSeal()];
  }

  return {
    open,

    /** Whether new conversations are kept. */
    async keeps(userId: string): Promise<boolean> {
      return (await db.orm.select().from(keepsNothing).where(eq(keepsNothing.userId, userId))).length === 0;
    },

    async setKeeping(userId: string, keep: boolean): Promise<void> {
      if (keep) await db.orm.delete(keepsNothing).where(eq(keepsNothing.userId, userId));
      else
        await db.orm
          .insert(keepsNothing)
          .values({ userId, since: new Date(clock.now()) })
          .onConflictDoNothing();
    },

    /** Those of one user, the newest first. */
    async list(userId: string, { query, cursor }: { query?: string | undefined; cursor?: string | undefined }): Promise<ConversationPage> {
      if (query?.trim()) return search(userId, query.trim());
      const [atMs, afterId] = cursor?.split('_') ?? [];
      const at = new Date(Number(atMs));
      const older = or(lt(conversation.updatedAt, at), and(eq(conversation.updatedAt, at), lt(conversation.id, afterId ?? '')));
      const rows = await rowsOf(userId, cursor === undefined ? undefined : older, pageSize + 1);
      const last = rows.length > pageSize ? rows[pageSize - 1] : undefined;
      return {
        conversations: await summaries(rows.slice(0, pageSize)),
        nextCursor: last ? `${last.updatedAt.getTime()}_${last.id}` : null,
      };
    },

    head,

    /** The newest messages, the oldest of them first. @param before  a position, exclusive */
    async newest(kept: Kept, most: Most, before = Number.MAX_SAFE_INTEGER): Promise<Message[]> {
      const older = lt(message.position, before);
      const first = await firstOf(kept, most, older);
      return (await messagesOf(kept, and(older, gte(message.position, first)), most.messages, true)).reverse();
    },

    async messageCount({ row }: Kept): Promise<number> {
      const [counted] = await db.orm.select({ messages: count() }).from(message).where(eq(message.conversationId, row.id));
      return Number(counted?.messages ?? 0);
    },

    /** @throws AppError `not_found` */
    async message(kept: Kept, id: string): Promise<Message> {
      const [found] = await messagesOf(kept, eq(message.id, id), 1, true);
      if (!found) throw new AppError('not_found', 'There is no such message.');
      return found;
    },

    /** All messages from the first on, a page at a time. */
    async *everyMessage(kept: Kept): AsyncGenerator<Message> {
      for (let from = 0; ; ) {
        const page = await messagesOf(kept, gte(message.position, from), exportPage, false);
        yield* page;
        const last = page.at(-1);
        if (!last || page.length < exportPage) return;
        from = last.position + 1;
      }
    },

    /** @throws AppError `not_found`, `key_unusable` */
    async rename(userId: string, id: string, title: string): Promise<ConversationSummary> {
      const { row, key } = await open(userId, id);
      const sealed = key.seal('title', title);
      await db.orm.update(conversation).set({ title: sealed }).where(mine(userId, id));
      const [summary] = await summaries([{ ...row, title: sealed }]);
      if (!summary) throw notFound();
      return summary;
    },

    /** @throws AppError `not_found` */
    async remove(userId: string, id: string): Promise<void> {
      const deleted = await db.orm.delete(conversation).where(mine(userId, id)).returning({ id: conversation.id });
      if (deleted.length === 0) throw notFound();
      await scrub();
    },

    async removeAll(userId: string): Promise<void> {
      await db.orm.delete(conversation).where(eq(conversation.userId, userId));
      await scrub();
    },

    /**
     * Writes a question and a place for its answer.
     * @throws AppError `conflict`: another answer is under way there, it was written to since it was read, or deleted; `storage_unavailable`
     */
    async begin(beginning: Beginning): Promise<Kept> {
      const { userId, agent, provider, model, question, answer, at, replaces } = beginning;
      const now = new Date(clock.now());
      const [kept, counted] = beginning.kept ? [beginning.kept, []] : await newConversation(beginning, now);
      const { row, key } = kept;
      const shared = { conversationId: row.id, agent, createdAt: now };
      await atomically(db, (tx) => [
        ...counted,
        beginning.kept
          ? must(
              tx
                .update(conversation)
                .set({ agent, provider, model, updatedAt: now })
                .where(and(mine(userId, row.id), eq(conversation.updatedAt, row.updatedAt))),
            )
          : tx.insert(conversation).values(row),
        // One that is being written stays, and its place is taken: so of two questions at once one is refused.
        ...(replaces
          ? [tx.delete(message).where(and(eq(message.conversationId, row.id), gte(message.position, at), ne(message.state, 'open')))]
          : []),
        ...(question
          ? [
              tx.insert(message).values({
                ...shared,
                ...{ id: question.id, position: at, role: 'user', state: 'done' },
                body: sealedBody(key, question.id, question),
              }),
            ]
          : []),
        tx.insert(message).values({
          ...shared,
          ...{ id: answer.id, position: question ? at + 1 : at, role: 'assistant', state: 'open' },
          ...{ provider, model: answer.model, droppedTurns: answer.droppedTurns, bootId: answer.bootId },
          body: sealedBody(key, answer.id, { content: '' }),
        }),
      ]).catch((error: unknown) => {
        throw error instanceof AppError && error.code === 'conflict' ? busy(error) : error;
      });
      return kept;
    },

    /** What an answer has said so far. */
    async write({ row, key }: Kept, id: string, content: string): Promise<void> {
      const body = sealedBody(key, id, { content });
      await db.orm
        .update(message)
        .set({ body })
        .where(and(eq(message.id, id), eq(message.conversationId, row.id), eq(message.state, 'open')));
    },

    /** The end of an answer. Where it was deleted meanwhile, nothing. */
    async finish({ row, key }: Kept, id: string, ending: Ending): Promise<void> {
      const { content, error, ...fields } = ending;
      const body = sealedBody(key, id, { content, ...(error && { detail: error.detail }) });
      const now = new Date(clock.now());
      await atomically(db, (tx) => [
        tx
          .update(message)
          .set({ ...fields, errorCode: error?.code ?? null, body, bootId: null })
          .where(and(eq(message.id, id), eq(message.conversationId, row.id))),
        tx.update(conversation).set({ updatedAt: now }).where(eq(conversation.id, row.id)),
      ]);
    },

    /** Marks the answers that processes left open which are no more. @returns how many */
    async settleDead(): Promise<number> {
      const { boot } = db.tables;
      const left = and(eq(message.state, 'open'), notInArray(message.bootId, db.orm.select({ id: boot.id }).from(boot)));
      if ((await db.orm.select({ id: message.id }).from(message).where(left).limit(1)).length === 0) return 0;
      const failed = { state: 'failed', errorCode: 'interrupted', bootId: null } as const;
      const [result] = await atomically(db, (tx) => [tx.update(message).set(failed).where(left)]);
      return result?.changes ?? 0;
    },
  };
}

/** The sentence of an answer whose process died cannot be sealed by another that only counts the dead. */
export const interrupted = 'The server was restarted while it answered. What was said until then is kept.';

interface Body {
  content: string;
  attachments?: Attachment[];
  detail?: string;
}

function sealedBody(key: DataKey, id: string, { content, attachments = [], detail }: Body): Buffer {
  return key.seal(id, JSON.stringify({ content, ...(attachments.length > 0 && { attachments }), ...(detail && { detail }) }));
}

function opened(key: DataKey, { body, ...row }: MessageRow): Message {
  const { content, attachments = [], detail } = JSON.parse(key.open(row.id, body)) as Body;
  return { ...row, content, attachments, detail: detail ?? (row.errorCode === 'interrupted' ? interrupted : null) };
}

/** What its owner sees of a message. */
export function messageView(message: Message): MessageView {
  const { id, role, content, agent, state, errorCode, isCut, provider, model, keySource, fallbackReason } = message;
  return {
    ...{ id, role, content, agent, state, isCut, provider, model, keySource, fallbackReason },
    attachments: message.attachments.map(({ name, text }) => ({ name, size: Buffer.byteLength(text) })),
    error: errorCode === null ? null : { code: errorCode, detail: message.detail ?? '' },
    inputTokens: message.inputTokens,
    outputTokens: message.outputTokens,
    estimatedCostUsd: message.costNanoUsd === null ? null : toUsd(message.costNanoUsd),
    requestId: message.requestId,
    handover: message.handover,
    droppedTurns: message.droppedTurns,
    createdAt: message.createdAt.toISOString(),
  };
}

/** The first line's worth of a first message. */
function titleFor(content: string): string {
  const line = content.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  const letters = [...line.slice(0, 2 * titleLength + 2)];
  return letters.length > titleLength ? `${letters.slice(0, titleLength).join('').trimEnd()}…` : letters.join('');
}

const notFound = () => new AppError('not_found', 'There is no such conversation.');
const busy = (cause: AppError) =>
  new AppError('conflict', 'This conversation has changed meanwhile, or an answer is under way in it. Load it again.', { cause });

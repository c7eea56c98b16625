/**
 * All that the server knows of one person, as one JSON file, written as it is read: what accounts-data.ts lists, and what was said to agents.
 * Nothing in it opens anything: no key, no token, no hash, no seal.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { AppError } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { and, type Column, eq, type SQL, sql } from 'drizzle-orm';
import { ofSomebody, type PersonTable } from '../accounts-data.ts';
import { type Conversations, messageView } from '../conversations.ts';
import { requestIdOf } from '../meter.ts';

export interface AccountExportParts {
  db: Db;
  conversations: Conversations;
  userId: string;
  /** Where this server is, and when it is asked. */
  publicUrl: string;
  nowMs: number;
  pageRows?: number;
}

type Row = Record<string, unknown>;

export async function* exportAccount(parts: AccountExportParts): AsyncGenerator<string> {
  const { db, userId, publicUrl, nowMs, pageRows = 500 } = parts;
  const head = { format: 'synthstack-byok-account/1', server: publicUrl, exportedAt: new Date(nowMs).toISOString() };
  yield JSON.stringify(head, null, 1).slice(0, -2);
  for (const one of ofSomebody(db.tables)) {
    if (one.told === null) continue;
    yield `,\n ${JSON.stringify(one.told.as)}: [`;
    yield* lines(rowsOf(db, one, userId, pageRows), (row) => JSON.stringify(viewOf(row, userId)));
    yield '\n ]';
  }
  yield ',\n "conversations": [';
  yield* conversationsOf(parts);
  yield '\n ]\n}\n';
}

async function* lines<T>(values: AsyncIterable<T>, text: (value: T) => string): AsyncGenerator<string> {
  let before = '\n  ';
  for await (const value of values) {
    yield before + text(value);
    before = ',\n  ';
  }
}

/** A page at a time, along what puts them in order. */
async function* rowsOf(db: Db, { table, of, told }: PersonTable, userId: string, pageRows: number): AsyncGenerator<Row> {
  if (told === null) return;
  const order = Object.fromEntries(told.by.map((column, i) => [`by ${i}`, column]));
  let after: SQL | undefined;
  for (;;) {
    const page = (await db.orm
      .select({ ...told.columns, ...order } as Record<string, never>)
      .from(table as Db['tables']['user'])
      .where(and(eq(of, userId), after))
      .orderBy(...told.by.map((column) => sql`${column}`))
      .limit(pageRows)) as Row[];
    for (const row of page) yield Object.fromEntries(Object.keys(told.columns).map((name) => [name, row[name]]));
    const last = page.at(-1);
    if (!last || page.length < pageRows) return;
    after = beyond(
      told.by,
      told.by.map((_, i) => last[`by ${i}`]),
    );
    await turn();
  }
}

/** What comes after a row, where several columns make the order. */
function beyond(columns: readonly Column[], values: readonly unknown[]): SQL {
  const list = (parts: SQL[]) => sql.join(parts, sql`, `);
  const names = columns.map((column) => sql`${column}`);
  const places = columns.map((column, i) => sql`${sql.param(values[i], column)}`);
  return sql`(${list(names)}) > (${list(places)})`;
}

/** Instants as people read them, ids of requests as their answers said them, and of who else acted no more than that it was somebody else. */
function viewOf(row: Row, userId: string): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      if (typeof value === 'number' && /(^at|At|^bucket|^hour)$/.test(name)) return [name, new Date(value).toISOString()];
      if (name === 'id' && typeof value === 'number') return [name, requestIdOf(value)];
      if (name === 'detail') return [name, parsed(String(value))];
      if (name === 'actor') return [name, value === userId ? 'you' : value === 'system' || value === 'cli' ? value : 'somebody else'];
      return [name, value];
    }),
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function* conversationsOf({ conversations, userId }: AccountExportParts): AsyncGenerator<string> {
  let before = '\n  ';
  for (let cursor: string | undefined; ; ) {
    const { conversations: page, nextCursor } = await conversations.list(userId, { cursor });
    for (const { id } of page) {
      yield before;
      before = ',\n  ';
      yield* conversationOf(conversations, userId, id);
    }
    if (nextCursor === null) return;
    cursor = nextCursor;
  }
}

async function* conversationOf(conversations: Conversations, userId: string, id: string): AsyncGenerator<string> {
  let kept: Awaited<ReturnType<Conversations['open']>>;
  try {
    kept = await conversations.open(userId, id);
  } catch (error) {
    // Sealed with a master key that is not there, or deleted meanwhile.
    if (!(error instanceof AppError) || (error.code !== 'key_unusable' && error.code !== 'not_found')) throw error;
    yield JSON.stringify({ id, unreadable: true });
    return;
  }
  yield `${JSON.stringify(conversations.head(kept.row)).slice(0, -1)},"messages":[`;
  let before = '\n   ';
  for await (const message of conversations.everyMessage(kept)) {
    yield before + JSON.stringify({ ...messageView(message), attachments: message.attachments });
    before = ',\n   ';
  }
  yield ']}';
}

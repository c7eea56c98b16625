/**
 * How texts are looked for by their beginning, in the same order on both engines: byte by byte. PostgreSQL's own order is that of a
 * language, in which no range holds all that begins alike; SQLite's is bytes by itself. An index serves only what is written as it is here.
 */
import { type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { Dialect } from './columns.ts';

export type TextOrder = ReturnType<typeof textOrder>;

export function textOrder(dialect: Dialect) {
  const isPostgres = dialect === 'postgres';
  const inBytes = sql.raw(isPostgres ? ' collate "C"' : '');
  return {
    bytewise: (text: SQLWrapper): SQL<string> => sql<string>`${text}${inBytes}`,
    /** Small letters for A to Z; others stay, since the engines do not agree on them. */
    folded: (text: SQLWrapper): SQL<string> => sql<string>`lower(${text}${inBytes})`,
    /** `@example.org ada@example.org`: all of a domain lie together, and so do those whose domains begin alike. */
    byDomain: (email: SQLWrapper): SQL<string> =>
      isPostgres
        ? sql<string>`(substr(${email}, strpos(${email}, '@')) || ' ' || ${email})${inBytes}`
        : sql<string>`(substr(${email}, instr(${email}, '@')) || ' ' || ${email})`,
  };
}

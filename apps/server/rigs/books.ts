/**
 * The database as an auditor sees it: read-only, with another SQLite than the program's own, and by statements of its own, so that
 * the program's idea of its sums is held against its rows and not against itself.
 */
import { DatabaseSync } from 'node:sqlite';

export interface BookedRequest {
  id: number;
  bootId: string;
  userId: string;
  tokenId: string | null;
  source: 'user' | 'platform';
  state: 'open' | 'done' | 'failed';
  status: number | null;
  errorCode: string | null;
  estimated: number;
  inputTokens: number | null;
  outputTokens: number | null;
  totalTokens: number | null;
  slotAt: number | null;
  startedAt: number;
}

export interface Books extends Disposable {
  /** Rows with a higher id, oldest first. */
  requests(afterId?: number): BookedRequest[];
  /** Places in the limits that a user's rows hold in the time from `sinceMs`. */
  places(userId: string, sinceMs: number): number;
  /** Sums that are not exactly what the rows add up to; a line for each. */
  wrongSums(): string[];
}

/** The number behind a request's public name. */
export const idOf = (requestId: string): number => Number.parseInt(requestId.replace(/^req_/, ''), 36);

export function openBooks(path: string): Books {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  return {
    requests: (afterId = 0) =>
      db
        .prepare(
          `select id, boot_id bootId, user_id userId, token_id tokenId, source, state, status, error_code errorCode, estimated,
             input_tokens inputTokens, output_tokens outputTokens, total_tokens totalTokens, slot_at slotAt, started_at startedAt
           from request where id > ? order by id`,
        )
        .all(afterId) as unknown as BookedRequest[],
    places: (userId, sinceMs) =>
      Number(db.prepare('select count(*) n from request where user_id = ? and slot_at > ?').get(userId, sinceMs)?.n ?? Number.NaN),
    wrongSums: () => sumTables.flatMap((sum) => differences(db, sum)),
    [Symbol.dispose]: () => db.close(),
  };
}

interface SumTable {
  table: string;
  /** Column of the sums -> what it is of a row. */
  key: Record<string, string>;
  only?: string;
  sums?: readonly string[];
}

const tokenSums = ['input_tokens', 'cached_input_tokens', 'cache_write_tokens', 'output_tokens', 'reasoning_tokens', 'total_tokens'];
const allSums = ['requests', ...tokenSums, 'cost_nano_usd', 'unpriced_requests', 'unmeasured_requests'];
const bucket = 'started_at / 900000 * 900000';
const model = "coalesce(model, '')";

const sumTables: readonly SumTable[] = [
  {
    table: 'usage_user',
    key: { user_id: 'user_id', bucket, provider: 'provider', model, source: 'source', key_id: "coalesce(key_id, '')" },
  },
  { table: 'usage_total', key: { bucket, provider: 'provider', model, source: 'source', tier: 'tier' } },
  { table: 'usage_user_day', key: { day: 'started_at / 86400000 * 86400000', user_id: 'user_id', source: 'source' } },
  {
    table: 'key_totals',
    key: { owner: 'user_id', provider: 'provider' },
    only: "source = 'user'",
    sums: ['requests', 'total_tokens', 'cost_nano_usd', 'unpriced_requests'],
  },
];

/** An answer that began counts as a request; what was used counts, whatever became of it (meter.ts). */
const answered = 'coalesce(status between 200 and 299 and first_byte_at is not null, 0)';
const sumOf: Record<string, string> = {
  requests: `sum(${answered})`,
  unpriced_requests: `sum(${answered} and cost_nano_usd is null)`,
  unmeasured_requests: 'sum(total_tokens is null)',
};

function differences(db: DatabaseSync, { table, key, only = 'true', sums = allSums }: SumTable): string[] {
  const columns = [...Object.keys(key), ...sums];
  const values = [...Object.values(key), ...sums.map((sum) => sumOf[sum] ?? `sum(coalesce(${sum}, 0))`)];
  const fromRows = `select ${values.map((value, i) => `${value} ${columns[i]}`).join(', ')} from request
    where state <> 'open' and ${only} and (${answered} or total_tokens is not null) group by ${Object.values(key).join(', ')}`;
  const fromSums = `select ${columns.join(', ')} from ${table}`;
  const missing = db.prepare(`select * from (${fromRows}) except ${fromSums}`).all();
  const surplus = db.prepare(`${fromSums} except select * from (${fromRows})`).all();
  return [
    ...missing.map((row) => `${table} lacks what the rows add up to: ${JSON.stringify(row)}`),
    ...surplus.map((row) => `${table} says what the rows do not: ${JSON.stringify(row)}`),
  ];
}

/** How the server is, as it knows it at the moment it is asked. Nothing is tried out for it. */
import { z } from 'zod';
import { ProviderId } from './keys.ts';

const Instant = z.iso.datetime();
export const healthStates = ['ok', 'warning', 'failed'] as const;
export const HealthState = z.enum(healthStates);
export type HealthState = z.infer<typeof HealthState>;

/** Counts end here: nobody should wait until millions are counted. */
export const mostCounted = 100_000;

export const MasterKeyHealth = z.object({
  id: z.string(),
  current: z.boolean().describe('New secrets are sealed with it.'),
  given: z.boolean().describe('It is among ENCRYPTION_KEY and ENCRYPTION_KEY_PREVIOUS.'),
  opens: z.boolean().describe('It opens its canary.'),
  seals: z.int(),
  rows: z.array(z.object({ what: z.string(), rows: z.int().describe(`${mostCounted}: so many or more.`) })),
});
export type MasterKeyHealth = z.infer<typeof MasterKeyHealth>;

export const SystemHealth = z.object({
  state: HealthState.describe('The worst of what follows.'),
  at: Instant,
  program: z.object({ version: z.string(), node: z.string(), startedAt: Instant, rssBytes: z.int(), state: HealthState }),
  database: z.object({
    state: HealthState,
    engine: z.enum(['sqlite', 'postgres']),
    bytes: z.int(),
    logBytes: z.int().nullable().describe('Of the write-ahead log; null: PostgreSQL keeps its own.'),
    readMs: z.number().describe('How long it took to answer.'),
    writeMs: z.number().nullable().describe('How long a commit took; null: it failed.'),
  }),
  masterKeys: z.object({ state: HealthState, keys: z.array(MasterKeyHealth) }),
  disk: z.object({ state: HealthState, freeBytes: z.int(), folder: z.string() }),
  processes: z.array(z.object({ host: z.string(), pid: z.int(), startedAt: Instant, seenAt: Instant, self: z.boolean() })),
  mail: z.object({
    state: HealthState,
    available: z.boolean(),
    waiting: z.int(),
    oldestAt: Instant.nullable(),
    sentToday: z.int(),
    failedToday: z.int(),
    lastError: z.string().nullable().describe('A word of a fixed list.'),
  }),
  backup: z
    .object({
      state: HealthState,
      folder: z.string().describe('BACKUP_DIR.'),
      everyHours: z.int(),
      keep: z.int().describe('How many are kept.'),
      newestAt: Instant.nullable().describe('When the newest one there was made; null: there is none.'),
    })
    .nullable()
    .describe('The backups that the server makes by itself; null: none. PostgreSQL has its own.'),
  prices: z.object({
    state: HealthState,
    release: z.string().describe('The version of the list that comes with the program.'),
    listAt: Instant.nullable().describe('When a list from a file or PRICES_URL came last; null: never.'),
    waitingModels: z.int().describe('Models that were used and have no price.'),
  }),
  providers: z.array(
    z.object({
      id: ProviderId,
      name: z.string(),
      state: HealthState,
      platform: z.boolean().describe('There is a platform key.'),
      answeredAt: Instant.nullable().describe('When it last answered anything to this process; null: not since its start.'),
      failedAt: Instant.nullable().describe('When it last could not be reached.'),
      error: z.string().nullable().describe('provider_unreachable or provider_timeout.'),
    }),
  ),
});
export type SystemHealth = z.infer<typeof SystemHealth>;

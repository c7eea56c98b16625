/**
 * Backups that the server makes by itself, every so many hours into a folder, of which the newest are kept. What is in the folder says when
 * the last one was made, so a restart makes none too early, and none too late. One that fails is tried again, and never stops the server.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { toAppError } from '@synthstack/core';
import type { Statement } from '@synthstack/core/db';
import { type BackupParts, makeBackup, troubleOf } from './backup.ts';
import { stampOf } from './backup-names.ts';
import type { Administrators, NoticeEntry } from './notices.ts';
import { type Clock, repeatedly } from './ports/clock.ts';
import type { Fields } from './ports/log.ts';

export interface BackupRoundsParts {
  backup: BackupParts;
  dir: string;
  everyHours: number;
  /** How many are kept. */
  keep: number;
  clock: Clock;
  log: { info(fields: Fields, message: string): void; error(fields: Fields, message: string, cause?: unknown): void };
  commit(list: Statement[]): Promise<unknown>;
  notice(entry: NoticeEntry): Statement;
}

export type BackupRounds = ReturnType<typeof createBackupRounds>;

const lookEveryMs = 60_000;
const hourMs = 3_600_000;
/** A disk that is full is not full for a minute only. */
const againMs = 600_000;
const administrators: Administrators = 'administrators';

export function createBackupRounds({ backup, dir, everyHours, keep, clock, log, commit, notice }: BackupRoundsParts) {
  let failedAt: number | null = null;

  async function round(): Promise<void> {
    const last = lastBackup(dir)?.at ?? Number.NEGATIVE_INFINITY;
    // One that is dated in the future is of a clock that was wrong.
    const isDue = clock.now() - last >= everyHours * hourMs || last > clock.now() + hourMs;
    if (!isDue || (failedAt !== null && clock.now() - failedAt < againMs)) return;
    try {
      const { database } = await makeBackup(backup, join(dir, `byok-${stampOf(clock.now())}.backup`));
      failedAt = null;
      forgetOld();
      log.info({ bytes: database.bytes }, 'Made a backup');
    } catch (error) {
      failedAt = clock.now();
      await tell(error);
    }
  }

  function forgetOld(): void {
    for (const { name } of backupsIn(dir).slice(keep)) rmSync(join(dir, name), { force: true });
  }

  async function tell(error: unknown): Promise<void> {
    log.error({}, 'No backup could be made; this is tried again in ten minutes', error);
    const reason = troubleOf(error);
    const dedupe = `backup_failed:${reason}:${new Date(clock.now()).toISOString().slice(0, 10)}`;
    // Where the disk is full this may fail as well.
    await commit([notice({ userId: administrators, kind: 'backup_failed', dedupe, data: { reason } })]).catch((cause: unknown) =>
      log.error({}, toAppError(cause).message, cause),
    );
  }

  const rounds = repeatedly(clock, lookEveryMs, () =>
    round().catch((error: unknown) => log.error({}, 'The folder of backups could not be read', error)),
  );

  return {
    ...rounds,
    /** In ms; null: there is none. */
    lastAt: (): number | null => lastBackup(dir)?.at ?? null,
    isFailing: (): boolean => failedAt !== null,
  };
}

interface Found {
  name: string;
  at: number;
}

const ownName = /^byok-(\d{4}-\d\d-\d\dT)(\d\d)-(\d\d)-(\d\dZ)\.backup$/;

/** Newest first; files of other names are not ours. */
function backupsIn(dir: string): Found[] {
  return namesIn(dir)
    .flatMap((name): Found[] => {
      const [, day, hours, minutes, seconds] = ownName.exec(name) ?? [];
      return day === undefined ? [] : [{ name, at: Date.parse(`${day}${hours}:${minutes}:${seconds}`) }];
    })
    .sort((a, b) => b.at - a.at);
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    // Where it cannot be read there is none that anybody could restore; that it cannot be written either is found out then.
    if (error instanceof Error && 'code' in error && /^(ENOENT|ENOTDIR|EACCES)$/.test(String(error.code))) return [];
    throw error;
  }
}

/** The newest one in a folder of scheduled backups. */
export const lastBackup = (dir: string): Found | null => backupsIn(dir)[0] ?? null;

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type ModelPrice, type ProviderId, type RotationView, toAppError } from '@synthstack/core';
import { lastBackup } from '../backup-rounds.ts';
import { type Config, databaseExists, readEnvironment } from '../config.ts';
import { diskOf } from '../health.ts';
import { systemClock } from '../ports/clock.ts';
import type { MailFailure } from '../ports/mail.ts';
import { allProviders, providerOf } from '../providers/catalog.ts';
import { createSender } from '../providers/send.ts';
import { type Command, json } from './cli.ts';
import { sentenceOf } from './version.ts';
import { withModules } from './with-modules.ts';

interface Check {
  id: string;
  state: 'ok' | 'warning' | 'failed';
  detail: string;
}

export const doctor: Command = {
  summary: 'Look for what is wrong, and say what to do.',
  usage: 'doctor [--json]',
  options: { json },
  async run({ values, out }) {
    const checks = await examine();
    if (values.json) out(JSON.stringify({ checks }, null, 2));
    else {
      const width = Math.max(...checks.map(({ id }) => id.length));
      for (const { id, state, detail } of checks) out(`${state.padEnd(7)}  ${id.padEnd(width)}  ${detail}`);
    }
    return checks.some(({ state }) => state === 'failed') ? 1 : 0;
  },
};

type PriceOf = (provider: ProviderId, model: string) => ModelPrice | null;

async function examine(): Promise<Check[]> {
  let config: Config;
  try {
    config = readEnvironment({ makeSecrets: false }).config;
  } catch (error) {
    return [{ id: 'configuration', state: 'failed', detail: toAppError(error).message }];
  }
  const checks: Check[] = [
    { id: 'configuration', state: 'ok', detail: 'All settings are understood.' },
    secretsFile(),
    ownFiles(config),
    dataFiles(config),
    disk(config),
    backups(config),
  ];
  const [reached, mail, stored] = await Promise.all([reach(config), mailServer(config), database(config)]);
  // The first one of them needs the database only for prices of its own.
  const [models, ...rest] = stored;
  return [...checks, ...(models ? [models] : []), ...reached, mail, ...rest];
}

function platformModels(
  { platformModels: allowed }: Config,
  price: PriceOf = (provider, model) => providerOf(provider).price(model),
): Check {
  const said = Object.entries(allowed).flatMap(([tier, models]) =>
    (models ?? [])
      .filter((model) => !allProviders.some(({ id }) => price(id, model)))
      .map((model) => `PLATFORM_MODELS_${tier.toUpperCase()}: ${model} has no known price; is it misspelt?`),
  );
  return said.length > 0
    ? { id: 'platform-models', state: 'warning', detail: said.join(' ') }
    : { id: 'platform-models', state: 'ok', detail: 'Every model for the platform keys has a known price.' };
}

/** One request without a key: a firewall, a proxy or a misspelt address shows before the first person meets it. */
async function reach({ baseUrls, timeouts }: Config): Promise<Check[]> {
  // Loaded when needed: help and wrong usage should not wait for it.
  const { createOutbound } = await import('../ports/outbound.ts');
  const outbound = createOutbound();
  const sender = createSender({ outbound, baseUrls, timeouts, clock: systemClock });
  try {
    const differencesMs: number[] = [];
    const reachable = await Promise.all(
      allProviders.map(async (provider): Promise<Check> => {
        const { id, name } = provider;
        const reached = await sender.reach(provider).then(
          (dateMs) => {
            if (dateMs !== null) differencesMs.push(systemClock.now() - dateMs);
            return null;
          },
          (error: unknown) => toAppError(error),
        );
        return reached === null
          ? { id: `reach-${id}`, state: 'ok', detail: `${name} answers at ${baseUrls[id]}.` }
          : {
              id: `reach-${id}`,
              state: 'warning',
              detail: `${name} does not answer at ${baseUrls[id]} (${reached.code}): is there a firewall or a proxy in between?`,
            };
      }),
    );
    return [...reachable, clockCheck(differencesMs)];
  } finally {
    await outbound.close();
  }
}

const mostDifferenceMs = 30_000;

/** The providers' clocks are right. @param differencesMs  how far this one is ahead of each of those that said what time it is */
function clockCheck(differencesMs: readonly number[]): Check {
  const id = 'clock';
  const least = differencesMs.toSorted((a, b) => Math.abs(a) - Math.abs(b))[0];
  if (least === undefined)
    return { id, state: 'warning', detail: 'No provider said what time it is, so the clock of this machine was not checked.' };
  if (Math.abs(least) <= mostDifferenceMs) return { id, state: 'ok', detail: 'The clock of this machine is right.' };
  const seconds = Math.round(Math.abs(least) / 1_000);
  const detail = `The clock of this machine is ${seconds} s ${least > 0 ? 'ahead' : 'behind'}: codes of second factors and limits go wrong. Let it be set by NTP.`;
  return { id, state: 'warning', detail };
}

/** Signs in to the e-mail server, and sends nothing. */
async function mailServer({ mail: { server, from }, publicUrl }: Config): Promise<Check> {
  const id = 'mail';
  if (!server || !from) return { id, state: 'warning', detail: 'No SMTP_URL is set: nobody is told anything by e-mail.' };
  const { createMailer } = await import('../ports/mail.ts');
  const failure = await createMailer({ server, from, name: new URL(publicUrl).hostname }).verify();
  if (failure === null) return { id, state: 'ok', detail: `The e-mail server at ${server.host} answers.` };
  return { id, state: 'failed', detail: `The e-mail server at ${server.host} ${mailTroubles[failure]}. Look at SMTP_URL.` };
}

const mailTroubles: Record<MailFailure, string> = {
  unreachable: 'cannot be reached',
  timeout: 'takes too long',
  tls: 'offers no TLS connection that can be trusted',
  sign_in: 'refuses user and password',
  sender: 'refuses the sender',
  recipient: 'refuses',
  message: 'refuses',
  other: 'refuses',
};

function secretsFile(): Check {
  const file = resolve('.env');
  if (!existsSync(file)) return { id: 'env-file', state: 'ok', detail: 'There is no .env; the secrets come from the environment.' };
  const open = (statSync(file).mode & 0o077) !== 0;
  return open
    ? { id: 'env-file', state: 'warning', detail: `Others on this machine can read ${file}. Run: chmod 600 ${file}` }
    : { id: 'env-file', state: 'ok', detail: 'Only you can read .env.' };
}

/** What `..._FILE` and TLS_KEY_FILE name. A group may read them: that is how systems hand secrets to a service. */
function ownFiles({ secretFiles }: Config): Check {
  const id = 'secret-files';
  if (secretFiles.length === 0) return { id, state: 'ok', detail: 'No secret stands in a file of its own.' };
  const open = secretFiles.filter((file) => (modeOf(file) & 0o007) !== 0);
  if (open.length === 0) return { id, state: 'ok', detail: 'Not everybody can read the files of secrets.' };
  return { id, state: 'warning', detail: `Everybody on this machine can read ${open.join(', ')}. Run: chmod o= ${open.join(' ')}` };
}

const mayBeMissing = { throwIfNoEntry: false } as const;
/** 0: it is not there, as behind a link that leads nowhere. */
const modeOf = (file: string): number => statSync(file, mayBeMissing)?.mode ?? 0;

/** Whoever can read the database can count and name people; whoever can write it can do worse. */
function dataFiles({ databaseUrl }: Config): Check {
  const id = 'data-files';
  const path = fileOf(databaseUrl);
  if (path === null || !existsSync(path)) return { id, state: 'ok', detail: 'There are no files to look at.' };
  const folder = dirname(path);
  const open = [...namesOf(folder, path), folder].filter((file) => (modeOf(file) & (file === folder ? 0o022 : 0o077)) !== 0);
  if (open.length === 0) return { id, state: 'ok', detail: 'Only you can read the database and its backups.' };
  return { id, state: 'warning', detail: `Others on this machine can read or change ${open.join(', ')}. Run: chmod -R go= ${folder}` };
}

/** The database, what lies beside it, and the backups that were made before its tables changed. */
function namesOf(folder: string, path: string): string[] {
  const own = readdirSync(folder).filter((name) => name.startsWith(basename(path)));
  const kept = join(folder, 'backups');
  return [
    ...own.map((name) => join(folder, name)),
    ...(statSync(kept, mayBeMissing)?.isDirectory() ? readdirSync(kept).map((name) => join(kept, name)) : []),
  ];
}

const fileOf = (databaseUrl: string): string | null => (databaseUrl.startsWith('file:') ? databaseUrl.slice('file:'.length) : null);

function backups({ databaseUrl, backups: { dir, everyHours } }: Config): Check {
  const id = 'backup';
  if (fileOf(databaseUrl) === null) return { id, state: 'ok', detail: 'PostgreSQL has its own: pg_dump.' };
  if (dir === undefined) {
    return {
      id,
      state: 'warning',
      detail: 'No BACKUP_DIR is set: there is no backup unless you make one, with byok backup FILE or otherwise.',
    };
  }
  const last = lastBackup(dir);
  if (!last)
    return { id, state: 'warning', detail: `There is no backup in ${dir} yet: the server makes one within a minute of its start.` };
  const hours = Math.floor((systemClock.now() - last.at) / 3_600_000);
  if (hours < 2 * everyHours) return { id, state: 'ok', detail: `The newest backup, ${last.name}, is ${hours} hours old.` };
  return {
    id,
    state: 'warning',
    detail: `The newest backup in ${dir} is ${hours} hours old. Does the server run? Its log says what is wrong.`,
  };
}

function disk({ dataDir }: Config): Check {
  if (!existsSync(dataDir)) return { id: 'disk', state: 'warning', detail: `${dataDir} does not exist yet; the first start makes it.` };
  const { state, freeBytes } = diskOf(dataDir);
  const freeMb = Math.floor(freeBytes / 1_048_576);
  return {
    id: 'disk',
    state,
    detail: `${freeMb} MB are free in ${dataDir}.${state === 'ok' ? '' : ' Make room: writes fail when it is full.'}`,
  };
}

function masterKeyCheck({ total, done, formerKeys, removable }: RotationView): Check {
  const id = 'master-key';
  const lost = formerKeys.filter(({ isHere }) => !isHere).map(({ masterKeyId }) => masterKeyId);
  if (lost.length > 0) {
    const detail = `${total - done} rows are not sealed with ENCRYPTION_KEY; ${lost.join(', ')} is not in ENCRYPTION_KEY_PREVIOUS: what it sealed is unreadable.`;
    return { id, state: 'warning', detail };
  }
  if (done < total) {
    const detail = `ENCRYPTION_KEY seals ${done} of ${total} rows, former keys the others. Run: byok keys rotate`;
    return { id, state: 'warning', detail };
  }
  const also = removable.length > 0 ? ` Take ${removable.join(', ')} out of ENCRYPTION_KEY_PREVIOUS: nothing needs it.` : '';
  return { id, state: 'ok', detail: `ENCRYPTION_KEY opens the stored data, all ${total} sealed rows.${also}` };
}

const soundness = (damage: string | null): Check =>
  damage === null
    ? { id: 'database', state: 'ok', detail: 'The database is sound.' }
    : { id: 'database', state: 'failed', detail: `The database is damaged (${damage}). Restore a backup.` };

/** Looking must not bring it up to date either, and what else is in it only the program of its own version knows. @returns null: it is of this one */
async function otherVersion({ databaseUrl }: Config): Promise<Check[] | null> {
  const { openDb } = await import('@synthstack/core/db');
  const db = await openDb({ url: databaseUrl, migrate: false });
  try {
    const { state, sentence } = sentenceOf(await db.schemaState());
    if (sentence === undefined) return null;
    const version: Check = { id: 'version', state: state === 'newer' ? 'failed' : 'warning', detail: sentence };
    return [version, soundness(await db.integrity())];
  } finally {
    await db.close();
  }
}

async function database(config: Config): Promise<Check[]> {
  // Looking must not make one.
  if (!databaseExists(config.databaseUrl)) {
    return [platformModels(config), { id: 'database', state: 'warning', detail: 'There is no database yet; the first start makes it.' }];
  }
  try {
    const ahead = await otherVersion(config);
    if (ahead) return [platformModels(config), ...ahead];
    return await withModules(async ({ db, audit, vault, prices, rotation }) => {
      await prices.fresh();
      const damage = await db.integrity();
      const { rows, brokenAt } = await audit.verify();
      const platform = await vault.platformProviders();
      return [
        platformModels(config, prices.price),
        { id: 'version', state: 'ok', detail: `Program and database are of the same version, ${config.version}.` },
        soundness(damage),
        masterKeyCheck(await rotation.state()),
        brokenAt === null
          ? { id: 'audit-chain', state: 'ok', detail: `${rows} entries, each in its place.` }
          : {
              id: 'audit-chain',
              state: 'failed',
              detail: `The audit log was altered at entry ${brokenAt}. Find out who can write to the database.`,
            },
        ...allProviders.map(
          ({ id, name }): Check =>
            platform.has(id)
              ? { id: `platform-${id}`, state: 'ok', detail: `There is a platform key for ${name}.` }
              : {
                  id: `platform-${id}`,
                  state: 'warning',
                  detail: `There is no platform key for ${name}: only people with their own key can use it.`,
                },
        ),
      ];
    });
  } catch (error) {
    const { code, message } = toAppError(error);
    return [platformModels(config), { id: code === 'invalid_config' ? 'master-key' : 'database', state: 'failed', detail: message }];
  }
}

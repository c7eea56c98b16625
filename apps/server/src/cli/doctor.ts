import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type ModelPrice, type ProviderId, toAppError } from '@synthstack/core';
import { type Config, databaseExists, readEnvironment } from '../config.ts';
import { diskOf } from '../health.ts';
import { systemClock } from '../ports/clock.ts';
import type { MailFailure } from '../ports/mail.ts';
import { allProviders, providerOf } from '../providers/catalog.ts';
import { createSender } from '../providers/send.ts';
import type { Command } from './cli.ts';
import { withModules } from './with-modules.ts';

interface Check {
  id: string;
  state: 'ok' | 'warning' | 'failed';
  detail: string;
}

export const doctor: Command = {
  summary: 'Look for what is wrong, and say what to do.',
  usage: 'doctor [--json]',
  options: { json: { type: 'boolean' } },
  async run({ values, out }) {
    const checks = await examine();
    if (values.json) out(JSON.stringify({ checks }, null, 2));
    else for (const { id, state, detail } of checks) out(`${state.padEnd(8)} ${id.padEnd(16)} ${detail}`);
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
  const checks: Check[] = [{ id: 'configuration', state: 'ok', detail: 'All settings are understood.' }, secretsFile(), disk(config)];
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
    return await Promise.all(
      allProviders.map(async (provider): Promise<Check> => {
        const { id, name } = provider;
        const reached = await sender.reach(provider).then(
          () => null,
          (error: unknown) => toAppError(error),
        );
        return reached === null
          ? { id: `reach-${id}`, state: 'ok', detail: `${name} answers at ${baseUrls[id]}.` }
          : {
              id: `reach-${id}`,
              state: 'warning',
              detail: `${reached.message} It was asked at ${baseUrls[id]}: is there a firewall or a proxy in between?`,
            };
      }),
    );
  } finally {
    await outbound.close();
  }
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

async function database(config: Config): Promise<Check[]> {
  // Looking must not make one.
  if (!databaseExists(config.databaseUrl)) {
    return [platformModels(config), { id: 'database', state: 'warning', detail: 'There is no database yet; the first start makes it.' }];
  }
  try {
    return await withModules(async ({ db, audit, vault, prices }) => {
      await prices.fresh();
      const damage = await db.integrity();
      const { rows, brokenAt } = await audit.verify();
      const platform = await vault.platformProviders();
      return [
        platformModels(config, prices.price),
        damage === null
          ? { id: 'database', state: 'ok', detail: 'The database is sound.' }
          : { id: 'database', state: 'failed', detail: `The database is damaged (${damage}). Restore a backup.` },
        { id: 'master-key', state: 'ok', detail: 'ENCRYPTION_KEY opens the stored data.' },
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

/** People for a rig, made in the database before the program under test opens it, by the program's own modules. */
import { randomBytes } from 'node:crypto';
import type { ProviderId, TierName } from '@synthstack/core';
import { createModules } from '../src/app.ts';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/ports/log.ts';

export interface NewPerson {
  tier: TierName;
  /** Their own keys, which must work while they are saved. */
  keys?: Partial<Record<ProviderId, string>>;
  /** How many gateway tokens; one, unless said. */
  tokens?: number;
}

export interface Person {
  id: string;
  tier: TierName;
  tokens: { id: string; secret: string }[];
}

/** @param env  the environment that the program will get; its provider addresses must answer */
export async function makePeople(env: Record<string, string>, wanted: readonly NewPerson[]): Promise<Person[]> {
  const log = createLog({ level: 'error', format: 'json', write: () => undefined });
  const modules = await createModules(loadConfig(env), { log });
  try {
    const people: Person[] = [];
    for (const { tier, keys = {}, tokens = 1 } of wanted) {
      const email = `${randomBytes(6).toString('hex')}@example.com`;
      const { userId: id } = await modules.accounts.add({ email, password: { hash: unused }, tier, admin: false });
      for (const [provider, apiKey] of Object.entries(keys) as [ProviderId, string][]) {
        const key = await modules.vault.save({ userId: id, byok: true }, { provider, apiKey });
        if (key.status !== 'valid') throw new Error(`The ${provider} key is ${key.status}: ${key.lastError}`);
      }
      const made: Person['tokens'] = [];
      for (let i = 0; i < tokens; i += 1) {
        const { secret, token } = await modules.tokens.create(id, { name: `rig ${i}`, scopes: ['gateway', 'manage'] });
        made.push({ id: token.id, secret });
      }
      people.push({ id, tier, tokens: made });
    }
    return people;
  } finally {
    await modules.outbound.close();
    await modules.db.close();
  }
}

/** Nobody signs in: the hash of no password. */
const unused = `${'0'.repeat(32)}:${'0'.repeat(128)}`;

/** What the program's commands do, on the data of a server that runs, without a process for each of them. Opened with the first use. */
import type { TierName } from '@synthstack/core';
import { createModules } from '../../server/src/app.ts';
import { hashPassword } from '../../server/src/auth.ts';
import { loadConfig } from '../../server/src/config.ts';
import { createLog } from '../../server/src/ports/log.ts';

export const password = 'correct horse battery staple';
let knownHash: Promise<string> | undefined;

export interface Office extends AsyncDisposable {
  /** `users add`, with the password of everybody here. */
  addUser(email: string, tier: TierName, admin?: boolean): Promise<void>;
  /** `users set-tier` */
  setTier(email: string, tier: TierName, until: Date): Promise<void>;
}

/** @param write  receives every line that is logged */
export function openOffice(env: NodeJS.ProcessEnv, write: (line: string) => void): Office {
  let opened: ReturnType<typeof open> | undefined;
  const open = () => {
    const config = loadConfig(env);
    return createModules(config, { log: createLog({ level: config.logLevel, format: config.logFormat, write }) });
  };
  const modules = () => (opened ??= open());
  return {
    async addUser(email, tier, admin = false) {
      const { accounts } = await modules();
      knownHash ??= hashPassword(password);
      await accounts.add({ email, password: { hash: await knownHash }, tier, admin });
    },
    async setTier(email, tier, until) {
      const { accounts, plans } = await modules();
      const { id } = await accounts.byEmail(email);
      await plans.set(id, { tier, until, source: 'cli' });
    },
    async [Symbol.asyncDispose]() {
      const { outbound, db } = (await opened) ?? {};
      await outbound?.close();
      await db?.close();
    },
  };
}

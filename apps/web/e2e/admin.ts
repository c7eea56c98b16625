/** What the browser tests of Administration share: administrators. */
import type { BrowserContextOptions } from 'playwright-core';
import { password, type Stage, type Visitor } from './stage.ts';

let administrators = 0;

/** A new administrator, signed in. */
export async function administrator(stage: Stage, name: string, options?: BrowserContextOptions): Promise<Visitor & { email: string }> {
  administrators += 1;
  const email = `${name.toLowerCase()}${administrators}@example.com`;
  await stage.office.addUser(email, 'premium', true);
  const visitor = await signedIn(stage, email, options);
  await visitor.call('accounts.update', { name });
  return { ...visitor, email };
}

const kept = new WeakMap<Stage, ReturnType<typeof administrator>>();

/** Always the same one, called Ada, in a new browser: for tests that need nobody fresh. */
export async function regularAdministrator(stage: Stage, options?: BrowserContextOptions): Promise<Visitor> {
  const first = kept.get(stage) ?? administrator(stage, 'Ada');
  kept.set(stage, first);
  return stage.visitor({ reducedMotion: 'reduce', storageState: await (await first).context.storageState(), ...options });
}

/** The same person in another browser. */
export async function signedIn(stage: Stage, email: string, options?: BrowserContextOptions): Promise<Visitor> {
  const visitor = await stage.visitor({ reducedMotion: 'reduce', ...options });
  const answer = await visitor.context.request.post(`${stage.origin}/api/auth/sign-in/email`, {
    data: { email, password },
    headers: { origin: stage.origin },
  });
  if (!answer.ok()) throw new Error(`Could not sign in: ${await answer.text()}`);
  return visitor;
}

/** Scenes to look at: who sees what, and what there must be before the picture is taken. Shared by the files looks*.e2e.ts. */
import type { BrowserContextOptions, Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { lookAt, sizes } from './look.ts';
import { newKey, openStage, type Stage, until, type Visitor } from './stage.ts';

export type Person = 'empty' | 'full' | 'lapsed';

export interface Scene {
  who?: Person;
  path: string | ((stage: Stage) => string);
  /** What must be there before the picture is taken. */
  wait: string;
  act?: (page: Page) => Promise<void>;
}

export interface Theatre {
  stage: Stage;
  cookiesOf(who: Person): ReturnType<Visitor['context']['storageState']>;
}

/** A server of its own for the file that calls this, and a test for each scene. */
export function playScenes(scenes: Record<string, Scene>): () => Theatre {
  let theatre: Theatre;
  beforeAll(async () => {
    const stage = await openStage({ SIGNUP: 'open', PLATFORM_OPENAI_API_KEY: 'sk-platform-0123456789abcdef' });
    // Not before the set-up page was seen, which wants a server without anybody.
    let people: Promise<Record<Person, Visitor>> | undefined;
    theatre = {
      stage,
      async cookiesOf(who) {
        people ??= seed(stage);
        return (await people)[who].context.storageState();
      },
    };
    return () => stage[Symbol.asyncDispose]();
  });

  describe.for(Object.entries(scenes))('%s', ([name, { who, path, wait, act }]) => {
    test('is accessible and whole on phone and desktop, in light and dark', async () => {
      const options: BrowserContextOptions = {
        reducedMotion: 'reduce',
        viewport: sizes.phone,
        ...(who && { storageState: await theatre.cookiesOf(who) }),
      };
      const { page, complaints, context } = await theatre.stage.visitor(options);
      await page.goto(typeof path === 'string' ? path : path(theatre.stage));
      await page.getByText(wait).first().waitFor();
      await act?.(page);
      if (act) await until(() => page.getByRole('dialog').or(page.getByRole('alert')).first().isVisible());
      await lookAt(page, name);
      expect(complaints()).toEqual([]);
      await context.close();
    });
  });
  return () => theatre;
}

async function seed(stage: Stage): Promise<Record<Person, Visitor>> {
  const [empty, full, lapsed] = await Promise.all(Array.from({ length: 3 }, () => stage.user('premium')));
  if (!empty || !full || !lapsed) throw new Error('Three were asked for.');
  const good = newKey('openai');
  stage.provider.key(good, 'good');
  await full.call('keys.save', { provider: 'openai', apiKey: good });
  await full.call('keys.save', { provider: 'anthropic', apiKey: newKey('anthropic') });
  const { secret } = (await full.call('tokens.create', { name: 'My laptop' })) as { secret: string };
  await full.call('tokens.create', { name: 'Deployment', scopes: ['gateway', 'manage'], expiresAt: '2099-01-01T00:00:00Z' });
  for (const model of ['gpt-4.1-mini', 'gpt-4.1-mini', 'gpt-4.1']) {
    const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Tell me about the sea.' }] }),
    });
    await answer.text();
  }
  const kept = newKey('openai');
  stage.provider.key(kept, 'good');
  await lapsed.call('keys.save', { provider: 'openai', apiKey: kept });
  await stage.office.setTier(lapsed.email, 'premium', new Date('2026-01-01'));
  return { empty, full, lapsed };
}

/** The agents as people use them: cards, chats, and what happens when something goes wrong in the middle of an answer. */
import type { BrowserContextOptions, Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { lookAt } from './look.ts';
import { newKey, openStage, type Stage, until } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ PLATFORM_OPENAI_API_KEY: platformKey });
  stage.provider.key(platformKey, 'good');
  return () => stage[Symbol.asyncDispose]();
});

const platformKey = 'sk-platform-0123456789abcdef';

/** Somebody of that tier, with a key of their own that works. */
async function owner(tier = 'premium', options?: BrowserContextOptions) {
  const user = await stage.user(tier, { reducedMotion: 'reduce', ...options });
  const key = newKey('openai');
  stage.provider.key(key, 'good');
  await user.call('keys.save', { provider: 'openai', apiKey: key });
  return { ...user, key };
}

const field = (page: Page, name = 'Software Developer') => page.getByRole('textbox', { name: `Message to ${name}` });
const answers = (page: Page) => page.getByRole('article').filter({ has: page.getByRole('heading', { name: /answered$/ }) });

async function ask(page: Page, text: string, name?: string): Promise<void> {
  await field(page, name).fill(text);
  await page.keyboard.press('Enter');
}

const markdown = `Here is a **short** plan, with \`inline code\` and a [link](https://example.com/docs).

## Steps

1. Measure first.
2. Then change *one* thing:
   - the query,
   - or the index.

| Option | Cost | Risk |
| :-- | --: | :-: |
| Cache | $12 | low |
| Rewrite of the whole storage engine | $4,000 | high |

\`\`\`ts
export async function load(id: string): Promise<User> {
  const row = await db.get('select * from users where id = ?', id); // one row
  if (!row) throw new Error(\`No user \${id} with a line that is rather long so that it has to be scrolled\`);
  return { ...row, age: 42 };
}
\`\`\`

> Premature optimisation is the root of all evil.

![A picture](https://tracker.example/pixel.png)`;

test('the agents, a new chat and an answer are accessible and whole on phone and desktop, in light and dark, in German', async () => {
  const { page, complaints } = await owner();
  await page.goto('/agents');
  await page.getByRole('heading', { name: 'SEO Writer' }).waitFor();
  await lookAt(page, 'agents');
  await page.evaluate(() => dispatchEvent(new StorageEvent('storage', { key: 'byok-language', newValue: 'en' })));
  await page.goto('/agents/developer');
  await field(page).waitFor();
  await lookAt(page, 'chat-new');
  await page.goto('/agents/developer');
  stage.provider.next({ text: markdown }, { path: /chat\/completions/ });
  await ask(page, 'How do I make this faster?');
  await page.getByRole('button', { name: 'Regenerate' }).waitFor();
  await until(() => page.locator('.hljs-keyword').first().isVisible());
  await lookAt(page, 'chat');
  expect(complaints()).toEqual([]);
});

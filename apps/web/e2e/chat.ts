/** What the browser tests of the agents share: people who have keys, answers of the provider, and where things are on the page. */
import type { TierName } from '@synthstack/core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import type { Gate, GatePlace } from '../../server/test/provider.ts';
import { newKey, openStage, type Stage, until, type Visitor } from './stage.ts';

const platformKey = 'sk-platform-0123456789abcdef';
/** The routes on which agents ask. */
export const inference = /chat\/completions|messages/;

export interface ChatStage {
  stage: Stage;
  /** Somebody new of that tier, with a key of their own that works. */
  owner(tier?: TierName): Promise<Visitor & { key: string }>;
  /** Always the same owner, in a new browser: for tests that need nobody fresh. */
  regular(options?: BrowserContextOptions): Promise<Visitor>;
  /** What the provider says next. */
  answerWith(text: string, more?: { chunks?: number; chunkDelayMs?: number }): void;
  gate(place: GatePlace): Gate;
  /** What the provider was asked, the oldest first. */
  bodies(): string[];
}

export async function openChatStage(): Promise<ChatStage> {
  const stage = await openStage({ PLATFORM_OPENAI_API_KEY: platformKey });
  const { provider } = stage;
  provider.key(platformKey, 'good');
  const match = { method: 'POST', path: inference };
  let cookies: Promise<Awaited<ReturnType<Visitor['context']['storageState']>>> | undefined;

  async function owner(tier: TierName = 'premium') {
    const user = await stage.user(tier, { reducedMotion: 'reduce' });
    const key = newKey('openai');
    provider.key(key, 'good');
    await user.call('keys.save', { provider: 'openai', apiKey: key });
    return { ...user, key };
  }

  return {
    stage,
    owner,
    async regular(options) {
      cookies ??= owner().then(({ context }) => context.storageState());
      return stage.visitor({ reducedMotion: 'reduce', storageState: await cookies, ...options });
    },
    answerWith: (text, more = {}) => provider.next({ text, ...more }, match),
    gate: (place) => provider.gate(place, match),
    bodies: () => provider.requests.filter(({ path }) => inference.test(path)).map(({ body }) => body.toString()),
  };
}

export const field = (page: Page, name = 'Software Developer') => page.getByRole('textbox', { name: `Message to ${name}` });
export const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
export const talks = (page: Page) => page.getByRole('complementary', { name: 'Conversations' });
export const answers = (page: Page) => page.getByRole('article').filter({ has: page.getByRole('heading', { name: /answered$/ }) });
export const lastText = (page: Page) => page.locator('.answer .text').last();
/** What the last answer says by now. */
export const said = async (page: Page) => ((await lastText(page).textContent()) ?? '').trim();

/** The last answer is this one, and over. */
export const answered = (page: Page, text: string) =>
  until(async () => (await said(page)) === text && (await page.getByRole('button', { name: /^(Regenerate|Try again)$/ }).isVisible()));

/** What the server has of the conversation that the page shows. */
export async function keptIn(page: Page): Promise<{ role: string; content: string }[]> {
  const answer = await page.request.get(`/api/v1/conversations/${page.url().split('/').at(-1)}`);
  return ((await answer.json()) as { messages: { role: string; content: string }[] }).messages;
}

export async function ask(page: Page, text: string, name?: string): Promise<void> {
  await field(page, name).fill(text);
  await page.keyboard.press('Enter');
}

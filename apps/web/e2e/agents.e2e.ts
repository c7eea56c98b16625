/** The agents as people use them: asking, stopping, going on with a colleague, another model, files, and what is kept. */

import { beforeAll, expect, test } from 'vitest';
import type { Gate } from '../../server/test/provider.ts';
import { answered, answers, ask, button, type ChatStage, field, lastText, openChatStage, said, talks } from './chat.ts';
import { newKey, until } from './stage.ts';

let chat: ChatStage;
beforeAll(async () => {
  chat = await openChatStage();
  return () => chat.stage[Symbol.asyncDispose]();
});

test('an answer streams in, is said by sentences, keeps its conversation, and the next question goes on in it', async () => {
  const { page, complaints } = await chat.regular();
  await page.goto('/agents/developer');
  chat.answerWith('First sentence. Second **one** comes.', { chunks: 8 });
  const standing = chat.gate(4);
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

  chat.answerWith('And on.');
  await ask(page, 'Go on');
  await answered(page, 'And on.');
  expect(await answers(page).count()).toBe(2);
  expect(chat.bodies().at(-1)).toContain('Second **one** comes.');
  await page.reload();
  await answered(page, 'And on.');
  expect(await answers(page).count()).toBe(2);
  expect(complaints()).toEqual([]);
});

test('on a phone the page goes on to the end of an answer that outgrows it', async () => {
  const { page } = await chat.regular({ viewport: { width: 390, height: 844 } });
  await page.goto('/agents/developer');
  // Long paragraphs: the last one is painted anew with each piece, and must not shrink for a moment.
  const long = Array.from({ length: 60 }, (_, n) => `word ${n}`).join(' ');
  chat.answerWith([long, long, long, 'The end.'].join('\n\n'), { chunks: 90, chunkDelayMs: 15 });
  await ask(page, 'Much?');
  await until(async () => (await said(page)).endsWith('The end.'));
  await button(page, 'Regenerate').waitFor();
  const left = () => page.locator('.chat__place').evaluate((place) => place.scrollHeight - place.scrollTop - place.clientHeight);
  await until(async () => (await left()) < 24);
  expect(await button(page, 'To the newest message').count()).toBe(0);
});

test('stop ends the answer at the provider, too; regenerate makes it anew; an edited question replaces what came after', async () => {
  const { page, complaints } = await chat.regular();
  await page.goto('/agents/developer');
  chat.answerWith('One two three four five six seven.', { chunks: 8 });
  const standing = chat.gate(3);
  await ask(page, 'Count');
  await standing.reached;
  await until(async () => (await said(page)).startsWith('One'));
  const asked = chat.stage.provider.requests.at(-1);
  await button(page, 'Stop').click();
  await page.getByText('Stopped by you.').waitFor();
  expect(await asked?.settled).toBe('aborted');
  expect(await lastText(page).textContent()).toMatch(/^One/);

  chat.answerWith('Anew.');
  await button(page, 'Regenerate').click();
  await answered(page, 'Anew.');
  expect(await answers(page).count()).toBe(1);

  chat.answerWith('Edited.');
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
  const { page, complaints } = await chat.regular();
  await page.goto('/agents/general');
  chat.answerWith('Our developer knows.\n\n<handover to="developer"/>', { chunks: 12 });
  await ask(page, 'Why does my query crawl?', 'General Assistant');
  await button(page, 'Continue with Software Developer').waitFor();
  expect(await said(page)).toBe('Our developer knows.');
  chat.answerWith('It lacks an index.');
  await button(page, 'Continue with Software Developer').click();
  await answered(page, 'It lacks an index.');
  await field(page, 'Software Developer').waitFor();
  expect(chat.bodies().at(-1)).toMatch(/Why does my query crawl.*Our developer knows/s);
  expect(complaints()).toEqual([]);
});

test('another model, of another provider, answers from the next question on', async () => {
  const { page, call, complaints } = await chat.owner();
  const key = newKey('anthropic');
  chat.stage.provider.key(key, 'good');
  await call('keys.save', { provider: 'anthropic', apiKey: key });
  await page.goto('/agents/developer');
  chat.answerWith('From the first.');
  await ask(page, 'Who are you?');
  await answered(page, 'From the first.');
  await page.getByRole('button', { name: /^Model: / }).click();
  const dialog = page.getByRole('dialog', { name: 'Choose a model' });
  await dialog.getByRole('radio', { name: /^Automatic/ }).waitFor();
  await until(() => dialog.getByRole('searchbox', { name: 'Filter models' }).evaluate((field) => field === document.activeElement));
  await page.keyboard.type('haiku-4-5');
  const model = dialog.getByRole('radio', { name: /^claude-haiku-4-5(?!-)/ }).first();
  await model.check();
  await dialog
    .getByText(/\$1(\.00)?$/)
    .first()
    .waitFor();
  await dialog.locator('.modal__actions').getByRole('button', { name: 'Close' }).click();
  await page.getByText('Your own Anthropic key pays.').waitFor();
  chat.answerWith('From the second.');
  await ask(page, 'And you?');
  await answered(page, 'From the second.');
  await answers(page).last().getByText('claude-haiku-4-5').waitFor();
  expect(chat.stage.provider.requests.at(-1)?.path).toBe('/v1/messages');
  expect(complaints()).toEqual([]);
});

test('text files go along with a question; what is no text, too much or too large is left out, and said', async () => {
  const { page, complaints } = await chat.regular();
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
  await picker.setInputFiles([text('blank.txt', ' \n')]);
  await page.getByText('“blank.txt” was left out: nothing is written in it.').waitFor();
  await picker.setInputFiles(['1', '2', '3', '4', '5'].map((name) => text(name, name)));
  await page.getByText('“5” was left out: at most 5 files').waitFor();
  for (const name of ['4', '3', '2', '1']) await page.getByRole('button', { name: `Remove ${name}`, exact: true }).click();
  chat.answerWith('Read.');
  await ask(page, 'Look at this');
  await answered(page, 'Read.');
  await page.locator('.said').getByText('a -quoted-.ts').waitFor();
  await button(page, 'Edit').last().click();
  await page.locator('.said__edit').getByText('a -quoted-.ts').waitFor();
  await button(page, 'Cancel').last().click();
  expect(chat.bodies().at(-1)).toContain('const a = 1;');
  expect(await page.locator('.composer .files').count()).toBe(0);
  expect(complaints()).toEqual([]);
});

test('conversations are found, renamed, taken along as a file and deleted', async () => {
  const { page, complaints } = await chat.owner();
  for (const title of ['About apples', 'About pears', 'Something else']) {
    await page.goto('/agents/developer');
    chat.answerWith(`Answer on ${title}.`);
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

test('an address that is none of a conversation says so, and leads to the agents', async () => {
  const { page } = await chat.regular();
  for (const id of ['cut-off', '00000000-0000-4000-8000-000000000000']) {
    await page.goto(`/chat/${id}`);
    await page.getByText('This conversation is not there (any more).').waitFor();
    expect(await button(page, 'Try again').count()).toBe(0);
    await page.getByRole('link', { name: 'All agents' }).waitFor();
  }
});

test('who keeps nothing has the conversation as long as the page is open', async () => {
  const { page, call, complaints } = await chat.owner();
  await page.goto('/agents/developer');
  await page.getByRole('switch', { name: 'Keep conversations' }).click();
  await page.getByText('Nothing of this chat is kept').waitFor();
  chat.answerWith('Remembered for now.');
  await ask(page, 'One');
  await answered(page, 'Remembered for now.');
  chat.answerWith('Once more.');
  await button(page, 'Regenerate').click();
  await answered(page, 'Once more.');
  chat.answerWith('Goes on.');
  await ask(page, 'Two');
  await answered(page, 'Goes on.');
  expect(chat.bodies().at(-1)).toContain('Once more.');
  expect(chat.bodies().at(-1)).not.toContain('Remembered for now.');
  expect(page.url()).toMatch(/\/agents\/developer$/);
  expect(await call('conversations.setKeeping', { keep: false })).toEqual({ keep: false });
  await page.reload();
  await field(page).waitFor();
  expect(await answers(page).count()).toBe(0);
  await page.getByText('Your conversations will be listed here.').waitFor();
  expect(complaints()).toEqual([]);
});

test('two tabs do not mix, and one conversation in two tabs is the same in both', async () => {
  const { page, newPage, complaints } = await chat.regular();
  const second = await newPage();
  await page.goto('/agents/developer');
  await second.goto('/agents/designer');
  const standing: Gate[] = [];
  for (const [tab, name, letter] of [
    [page, 'Software Developer', 'a'],
    [second, 'Designer', 'b'],
  ] as const) {
    await tab.bringToFront();
    chat.answerWith(`${letter} `.repeat(40), { chunks: 20 });
    const one = chat.gate(5);
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
  chat.answerWith('Seen in both.');
  await page.bringToFront();
  await ask(page, 'And now?');
  await answered(page, 'Seen in both.');
  await second.bringToFront();
  await answered(second, 'Seen in both.');
  expect(complaints()).toEqual([]);
});

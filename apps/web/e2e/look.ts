/** Looks at a page as people do: on phone and desktop, in light and dark, with axe; pictures are written to .screenshots. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults, RunOptions } from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pictures = join(import.meta.dirname, '../../../.screenshots');
export const sizes = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 860 } };
/** One thing changes at a time, which is quicker. axe and pictures are slow: for both themes and both sizes once, not for all four. */
const looks = [
  { theme: 'light', size: 'phone', whole: true },
  { theme: 'dark', size: 'phone', whole: false },
  { theme: 'dark', size: 'desktop', whole: true },
  { theme: 'light', size: 'desktop', whole: false },
] as const;

export async function lookAt(page: Page, name: string): Promise<void> {
  await seeAll(page);
  for (const { theme, size, whole } of looks) {
    const where = `${name} on a ${size}, ${theme}`;
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize(sizes[size]);
    await (whole ? settled(page) : painted(page));
    if (whole || process.env.BYOK_PICTURES) await takePicture(page, `${name}-${size}-${theme}`);
    expect(await stickingOut(page), where).toEqual([]);
    if (whole) expect(await violations(page), where).toEqual([]);
  }
  await lookInGerman(page, name);
}

async function takePicture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

/** Some parts come when somebody is about to see them: goes down to the end, and up again. */
export async function seeAll(page: Page): Promise<void> {
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await page.waitForFunction(() => document.querySelector('.loading') === null);
  await page.evaluate(() => scrollTo(0, 0));
}

/** What the README shows, for docs/pictures: copied there by hand when the pages have changed. */
export async function pictureForReadme(page: Page, name: string): Promise<void> {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1180, height: 960 });
  await settled(page);
  await page.screenshot({ path: join(pictures, `readme/${name}.png`) });
}

/** German words are longer: on a phone they are the first to stick out. The page learns of the choice as from another tab. */
async function lookInGerman(page: Page, name: string): Promise<void> {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(sizes.phone);
  await page.evaluate(() => dispatchEvent(new StorageEvent('storage', { key: 'byok-language', newValue: 'de' })));
  await page.waitForFunction(() => document.documentElement.lang === 'de');
  await settled(page);
  if (process.env.BYOK_PICTURES) await takePicture(page, `${name}-phone-german`);
  expect(await stickingOut(page), `${name} in German`).toEqual([]);
}

/** After a look, for what comes next in the same page. */
export async function english(page: Page): Promise<void> {
  await page.evaluate(() => dispatchEvent(new StorageEvent('storage', { key: 'byok-language', newValue: 'en' })));
  await page.waitForFunction(() => document.documentElement.lang === 'en');
  await page.setViewportSize(sizes.desktop);
}

/** What is wider than the place that it has. */
async function stickingOut(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const places = [document.documentElement, ...document.querySelectorAll('.panel, .modal, .modal__body')];
    return places.filter((place) => place.scrollWidth > place.clientWidth).map((place) => `${place.tagName} ${place.className}`);
  });
}

/** Quasar's transitions run on timers of a tenth of a second, whatever the reduced motion. */
export async function settled(page: Page): Promise<void> {
  await page.evaluate(() => new Promise((done) => setTimeout(done, 200)));
}

/** What follows from colours is there with the next frame, which is waited for twice: once for it to begin, once for it to be done. */
async function painted(page: Page): Promise<void> {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

interface Axe {
  run(options: RunOptions): Promise<AxeResults>;
}

/** Nothing is told of what is right, and no style sheet fetched once more for rules that are off: that took half the time. */
export async function violations(page: Page): Promise<string[]> {
  // Half a megabyte of source: once for each document.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe);
  const found = await page.evaluate(() => {
    const options: RunOptions = { resultTypes: ['violations'], preload: { assets: ['media'] } };
    return (globalThis as unknown as { axe: Axe }).axe.run(options);
  });
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
}

/** The page loads in one piece: what is there does not move when data, dialogs or verdicts arrive (Cumulative Layout Shift). */
export async function expectNoJumps(page: Page, load: () => Promise<unknown>): Promise<void> {
  await page.addInitScript(() => {
    const shifts = globalThis as unknown as { __shift: number };
    shifts.__shift = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) shifts.__shift += (entry as unknown as { value: number }).value;
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await load();
  await settled(page);
  expect(await page.evaluate(() => (globalThis as unknown as { __shift: number }).__shift)).toBeLessThan(0.05);
}

/** Once for all files: the built pages, and the one Chromium that they share. */
import { chromium } from 'playwright-core';
import type { TestProject } from 'vitest/node';
import { chromiumFlags, findChromium } from '../../../scripts/browser.ts';
import { buildWeb } from '../../../scripts/build-web.ts';

declare module 'vitest' {
  interface ProvidedContext {
    chromium: string;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const [executablePath] = await Promise.all([findChromium(), buildWeb()]);
  const server = await chromium.launchServer({ executablePath, args: chromiumFlags });
  project.provide('chromium', server.wsEndpoint());
  return () => server.close();
}

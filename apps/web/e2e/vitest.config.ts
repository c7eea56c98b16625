import { defineConfig } from 'vitest/config';
import { compileCache } from '../../server/test/compile-cache.ts';

// For the workers of vitest, and all that they start.
Object.assign(process.env, compileCache);

export default defineConfig({
  test: {
    root: `${import.meta.dirname}/..`,
    include: ['e2e/*.e2e.ts', 'src/**/*.test.ts'],
    globalSetup: './e2e/global-setup.ts',
    // One Chromium for all; every file starts a server of its own. Twice what two cores have: tests wait for pages.
    maxWorkers: 4,
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

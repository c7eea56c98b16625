import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: `${import.meta.dirname}/..`,
    include: ['e2e/*.e2e.ts', 'src/**/*.test.ts'],
    globalSetup: './e2e/global-setup.ts',
    // One Chromium for all; every file starts a server of its own.
    maxWorkers: 2,
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

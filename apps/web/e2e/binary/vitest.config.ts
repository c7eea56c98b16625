import { defineConfig } from 'vitest/config';

/** What is worth trying of the binary in every run of the tests; `e2e:binary` runs all browser tests against it. Build it first. */
export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    include: ['e2e/binary/*.e2e.ts'],
    globalSetup: './e2e/global-setup.ts',
    env: { BYOK_PROGRAM: 'dist/byok' },
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

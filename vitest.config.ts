import { globSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const files = globSync('{apps/server,packages/core}/**/*.test.ts', { exclude: ['**/node_modules/**'] });
/** What uses the database stage runs on both engines, without anybody having to remember it. */
const onBothEngines = files.filter((file) => /\btest(Db|App)\b/.test(readFileSync(file, 'utf8')));

const shared = { isolate: false, testTimeout: 30_000, hookTimeout: 30_000 };

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...shared, name: 'sqlite', include: files, env: { TEST_DATABASE: 'sqlite' } } },
      { test: { ...shared, name: 'postgres', include: onBothEngines, env: { TEST_DATABASE: 'postgres' } } },
    ],
  },
});

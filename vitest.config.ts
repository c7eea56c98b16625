import { globSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { compileCache } from './apps/server/test/compile-cache.ts';

// For the workers of vitest, and all that they start.
Object.assign(process.env, compileCache);

const files = globSync('{apps/server,packages/*}/**/*.test.ts', { exclude: ['**/node_modules/**'] });
/** Who may do what, sockets, bodies, SDKs, streams and documents, where the engine behind them makes no difference and the time does. */
const onOneEngine =
  /\/(authorisation|http|http-(certificate|connections)|gateway-(bodies|fetch|outlet|sdk)|relay\/(faults|platform|promises)|test\/docs|client\/src\/package)\.test\.ts$/;
/** All else that uses the database stage runs on both engines, without anybody having to remember it. */
const onBothEngines = files.filter((file) => !onOneEngine.test(file) && /\btest(Db|App|Place)\b/.test(readFileSync(file, 'utf8')));

const shared = { isolate: false, testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    // One more than the cores of the smallest machine: tests wait for sockets and disks.
    maxWorkers: 3,
    projects: [
      { test: { ...shared, name: 'sqlite', include: files, env: { TEST_DATABASE: 'sqlite' } } },
      { test: { ...shared, name: 'postgres', include: onBothEngines, env: { TEST_DATABASE: 'postgres' } } },
    ],
  },
});

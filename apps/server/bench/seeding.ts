/** The seed as a process of the benchmark: it is ready when the database is filled. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { argsOf, endWithParent, serveParent } from './child.ts';
import { benchConfig, type Secrets } from './config.ts';
import { type SeedSize, seed } from './seed.ts';

export interface Seeded {
  tookMs: number;
  /** Of the database's files. */
  bytes: number;
}

const { folder, secrets, ...size } = argsOf<SeedSize & { folder: string; secrets: Secrets }>();
endWithParent();
const startMs = performance.now();
// No request is made here, so there need not be anybody at this port.
await seed(benchConfig({ folder, secrets, upstreamPort: 1 }), size);
const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
serveParent({ tookMs: performance.now() - startMs, bytes } satisfies Seeded);

/** The program under test as a process of its own that a rig can ask how it is doing: memory after a collection, what is under way. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { argsOf, serveParent } from '../bench/child.ts';
import { startServer } from '../src/cli/serve.ts';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/ports/log.ts';

export interface ServerArgs {
  env: Record<string, string>;
  commitDelayMs?: number;
}

export interface Standing {
  underWay: number;
  /** To the providers, busy and kept alive. */
  upstreamSockets: number;
  rssBytes: number;
  /** On the heap and outside, in use. */
  usedBytes: number;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const { env, commitDelayMs } = argsOf<ServerArgs>();
const log = createLog({ level: 'error', format: 'json', write: (line) => void process.stderr.write(line) });
const { app, port, underWay } = await startServer(loadConfig(env), { log, ...(commitDelayMs && { commitDelayMs }) });

async function standing(): Promise<Standing> {
  for (let i = 0; i < 3; i += 1) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { underWay: underWay(), upstreamSockets: app.outbound.openSockets(), rssBytes: rss, usedBytes: heapUsed + external };
}

serveParent({ port }, { answer: standing });

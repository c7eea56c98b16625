/** For the environment of a process: a third of a start, and of a writer's thread, is spent on compiling what was compiled a second ago. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const compileCache = { NODE_COMPILE_CACHE: join(tmpdir(), 'byok-compile-cache') };

/** The stage of a rig: a data folder with people in it, and the program as a process on it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, startChild } from '../bench/child.ts';
import { freshSecrets } from '../test/process.ts';
import { makePeople, type NewPerson, type Person } from './people.ts';
import type { ServerArgs, Standing } from './server.ts';

export interface Stage extends AsyncDisposable {
  port: number;
  people: Person[];
  /** Of the database. */
  path: string;
  standing(): Promise<Standing>;
}

export interface StageOptions {
  openaiUrl: string;
  anthropicUrl: string;
  people: readonly NewPerson[];
  env?: Record<string, string>;
}

/** Where people are, before and between processes. */
export async function stageFolder({ openaiUrl, anthropicUrl, people: wanted, env: more }: StageOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'byok-rig-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  const env = {
    ...freshSecrets(),
    PORT: '0',
    PUBLIC_URL: 'http://byok.rig',
    DATA_DIR: folder,
    OPENAI_BASE_URL: openaiUrl,
    ANTHROPIC_BASE_URL: anthropicUrl,
    ...more,
  };
  try {
    return { env, path: join(folder, 'byok.db'), people: await makePeople(env, wanted), [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

export const startServerProcess = (args: ServerArgs): Promise<Child<{ port: number }>> =>
  startChild<{ port: number }>('../rigs/server.ts', null, args);

export async function startStage(options: StageOptions): Promise<Stage> {
  const folder = await stageFolder(options);
  try {
    const child = await startServerProcess({ env: folder.env });
    return {
      port: child.ready.port,
      people: folder.people,
      path: folder.path,
      standing: () => child.call<Standing>('standing'),
      async [Symbol.asyncDispose]() {
        await child[Symbol.asyncDispose]();
        await folder[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

/** Of 1,000 requests at once on the platform's key, exactly as many are admitted as the tier allows, every time. */

import { randomUUID } from 'node:crypto';
import { Agent } from 'node:http';
import { type TierName, tiers } from '@synthstack/core';
import { startProvider } from '../test/provider.ts';
import { openBooks } from './books.ts';
import { ask, headersFor, pathOf } from './client.ts';
import { createReport, type Findings, type Rig } from './report.ts';
import { type Stage, startStage } from './stage.ts';

const atOnce = 1_000;
const asked = ['community', 'subscriber', 'premium'] as const satisfies readonly TierName[];
const platformKey = 'sk-proj-rig-platform-77aa01';

export const rig: Rig = {
  summary: 'of 1,000 requests at once, exactly as many as the tier allows are admitted',
  times: 10,
  unit: 'rounds of each tier',
  async run({ times, say }) {
    const found = createReport();
    await using provider = await startProvider({ openai: { keys: { [platformKey]: 'good' } } });
    const people = Array.from({ length: times }, () => asked.map((tier) => ({ tier }))).flat();
    await using stage = await startStage({ ...provider, people, env: { PLATFORM_OPENAI_API_KEY: platformKey } });
    const admitted: Record<(typeof asked)[number], number[]> = { community: [], subscriber: [], premium: [] };
    for (const [i, person] of stage.people.entries()) {
      const tier = asked[i % asked.length] ?? 'community';
      const before = provider.requests.length;
      const statuses = await askAtOnce(stage, person.tokens[0]?.secret ?? '');
      admitted[tier].push(statuses.filter((status) => status === 200).length);
      audit(found, { stage, person, statuses, upstream: provider.requests.length - before });
      if (i % asked.length === asked.length - 1) say(`round ${(i + 1) / asked.length}`);
    }
    for (const tier of asked)
      found.figure(`admitted of ${atOnce}, ${tier} (${tiers[tier].requestsPerMinute})`, [...new Set(admitted[tier])].join(', '));
    found.figure('rounds', times);
    return found;
  },
};

/** Each on a socket of its own: nobody waits for anybody. */
async function askAtOnce({ port }: Stage, token: string): Promise<(number | null)[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] });
  const headers = headersFor('openai', token, randomUUID());
  const all = await Promise.all(Array.from({ length: atOnce }, () => ask({ port, path: pathOf.openai, headers, body, agent }).over));
  agent.destroy();
  return all.map(({ status }) => status);
}

interface Round {
  stage: Stage;
  person: Stage['people'][number];
  statuses: readonly (number | null)[];
  /** Calls that reached the provider. */
  upstream: number;
}

function audit(found: Findings, { stage, person, statuses, upstream }: Round): void {
  using books = openBooks(stage.path);
  const limit = tiers[person.tier].requestsPerMinute;
  const granted = statuses.filter((status) => status === 200).length;
  const refused = statuses.filter((status) => status === 429).length;
  const rows = books.requests().filter((row) => row.userId === person.id).length;
  found.promise(
    granted === limit && refused === atOnce - limit && upstream === limit && rows === limit,
    `${person.tier}: ${granted} of ${atOnce} were admitted, ${refused} refused, ${upstream} reached the provider, ${rows} have rows; the limit is ${limit}.`,
  );
}

import type { AdminAgent, AgentVersions } from '@synthstack/core';
import { eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { call, say } from '../test/chat.ts';
import { catalog } from './agents-catalog.ts';
import { providers } from './providers/catalog.ts';

test('the six agents are whole: a page of prompt, four questions, models with a price', () => {
  expect([...catalog.keys()]).toEqual(['general', 'researcher', 'marketer', 'developer', 'seo_writer', 'designer']);
  for (const [slug, { prompt, starters, models, description }] of catalog) {
    expect(prompt.length, slug).toBeGreaterThan(1_000);
    expect(prompt.length, slug).toBeLessThan(4_000);
    expect(starters, slug).toHaveLength(4);
    expect(description.length, slug).toBeLessThan(200);
    for (const id of ['openai', 'anthropic'] as const) expect(providers[id].models, slug).toContain(models[id]);
  }
});

const lawyer = {
  ...{
    name: 'Lawyer',
    description: 'Reads contracts.',
    prompt: 'You read contracts.',
    starters: ['Read this.'],
    temperature: 0.2,
    inAllPlans: true,
  },
  models: { openai: 'gpt-4o-mini', anthropic: 'claude-haiku-4-5' },
};

test('an administrator changes an agent: it answers so at once, each change is a version and an audit entry, and a reset brings it back', async () => {
  await using app = await testApp();
  const [boss, ada] = [await app.person({ admin: true }), await app.person({ keys: { openai: 'good' } })];
  const { agents } = await call<{ agents: AdminAgent[] }>(app, boss, 'admin.agents.list');
  const { isBuiltIn, isChanged, ...designer } = agents.find(({ slug }) => slug === 'designer') as AdminAgent;
  expect([isBuiltIn, isChanged, designer.version]).toEqual([true, false, 0]);
  const changed = { ...designer, prompt: 'You are a pirate.', models: { ...designer.models, openai: 'gpt-4o-mini' } };
  expect(await call(app, boss, 'admin.agents.save', changed)).toMatchObject({ agent: { version: 1, isChanged: true, isBuiltIn: true } });
  expect((await say(app, ada, 'hello', 'designer')).start.model).toBe('gpt-4o-mini');
  expect(JSON.parse(app.provider.requests.at(-1)?.body.toString() ?? '').messages[0].content).toMatch(
    /^You are a pirate\.\n\n# How all of us work here/,
  );
  // Two administrators at once: the second is told.
  await expect(call(app, boss, 'admin.agents.save', changed)).rejects.toMatchObject({ code: 'conflict' });
  await call(app, boss, 'admin.agents.save', { ...changed, version: 1, name: 'Painter' });
  // Nor is what somebody has just saved reset by who has not seen it.
  await expect(call(app, boss, 'admin.agents.reset', { slug: 'designer', version: 1 })).rejects.toMatchObject({ code: 'conflict' });
  await call(app, boss, 'admin.agents.reset', { slug: 'designer', version: 2 });
  const { versions, delivered } = await call<AgentVersions>(app, boss, 'admin.agents.versions', { slug: 'designer' });
  expect(delivered).toEqual(catalog.get('designer'));
  const { name: bossName } = await app.app.accounts.me(boss.id);
  expect(versions.map(({ version, definition, actor, actorName }) => [version, definition?.name, actor, actorName])).toEqual([
    [3, undefined, boss.id, bossName],
    [2, 'Painter', boss.id, bossName],
    [1, 'Designer', boss.id, bossName],
  ]);
  const seen = await call<{ agents: { slug: string; name: string; version: number; isChanged: boolean }[] }>(app, ada, 'agents.list');
  expect(seen.agents[5]).toMatchObject({ slug: 'designer', name: 'Designer', version: 3, isChanged: false });
  const audited = (await app.app.audit.list({ limit: 10 })).filter(({ action }) => action.startsWith('agent.'));
  expect(audited.map(({ action, detail, actor }) => [action, detail.version, actor])).toEqual([
    ['agent.reset', '3', boss.id],
    ['agent.changed', '2', boss.id],
    ['agent.changed', '1', boss.id],
  ]);
  expect(await app.app.audit.verify()).toMatchObject({ brokenAt: null });
});

test('an administrator adds an agent: all may ask it, the General Assistant knows it, and it can go and come again', async () => {
  await using app = await testApp({ platform: { openai: { text: 'Ask the lawyer.\n<handover to="lawyer"/>' } } });
  const [boss, ada] = [await app.person({ admin: true }), await app.person({ tier: 'community' })];
  expect(await call(app, boss, 'admin.agents.add', { slug: 'lawyer', ...lawyer })).toMatchObject({
    agent: { slug: 'lawyer', version: 1, isBuiltIn: false },
  });
  await expect(call(app, boss, 'admin.agents.add', { slug: 'lawyer', ...lawyer })).rejects.toMatchObject({ code: 'conflict' });
  await expect(call(app, boss, 'admin.agents.add', { slug: 'general', ...lawyer })).rejects.toMatchObject({ code: 'conflict' });
  await expect(call(app, boss, 'admin.agents.add', { ...lawyer, slug: 'Two Words' })).rejects.toMatchObject({ code: 'invalid_input' });
  const answer = await say(app, ada, 'Is this contract good?');
  expect(answer.events).toContainEqual({ type: 'handover', agent: 'lawyer' });
  expect((await say(app, ada, { conversationId: answer.start.conversationId ?? '', content: 'Well?' }, 'lawyer')).start.agent).toBe(
    'lawyer',
  );
  await call(app, boss, 'admin.agents.reset', { slug: 'lawyer' });
  expect((await call<{ agents: unknown[] }>(app, ada, 'agents.list')).agents).toHaveLength(6);
  expect((await say(app, ada, { conversationId: answer.start.conversationId ?? '', content: 'And now?' })).text).toBe('Ask the lawyer.');
  expect(await call(app, boss, 'admin.agents.add', { slug: 'lawyer', ...lawyer })).toMatchObject({ agent: { version: 3 } });
  const history = await call<AgentVersions>(app, boss, 'admin.agents.versions', { slug: 'lawyer' });
  expect([history.delivered, history.versions.length]).toEqual([null, 3]);
  await expect(call(app, boss, 'admin.agents.versions', { slug: 'nobody' })).rejects.toMatchObject({ code: 'not_found' });
});

test('a version whose author is gone stays, without a name', async () => {
  await using app = await testApp();
  const [boss, other] = [await app.person({ admin: true }), await app.person({ admin: true })];
  await call(app, other, 'admin.agents.add', { slug: 'lawyer', ...lawyer });
  await app.app.db.orm.delete(app.app.db.tables.user).where(eq(app.app.db.tables.user.id, other.id));
  const { versions } = await call<AgentVersions>(app, boss, 'admin.agents.versions', { slug: 'lawyer' });
  expect(versions).toMatchObject([{ version: 1, actor: other.id, actorName: null }]);
});

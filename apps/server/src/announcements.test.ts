import { NewAnnouncement } from '@synthstack/core';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';

const hourMs = 3_600_000;

test('an announcement is seen by everybody until they close it, it is over or it is withdrawn', async () => {
  await using app = await testApp();
  const root = await app.person({ admin: true });
  const [ada, bob] = [await app.person(), await app.person({ tier: 'community' })];
  const { announcements, audit, db } = app.app;
  const until = new Date(app.clock.now() + hourMs).toISOString();
  const first = await announcements.add(root.id, {
    kind: 'warning',
    english: '<b>We move</b>',
    german: 'Umzug',
    link: '/settings/plan',
    until,
  });
  const second = await announcements.add(root.id, { kind: 'info', english: 'Hello' });
  const seen = async (who: { id: string }) => (await announcements.current(who.id)).map(({ english }) => english).sort();
  expect(await seen(ada)).toEqual(['<b>We move</b>', 'Hello']);
  const [view] = (await announcements.current(bob.id)).filter(({ id }) => id === first.id);
  expect(view).toEqual({
    id: first.id,
    kind: 'warning',
    english: '<b>We move</b>',
    german: 'Umzug',
    link: '/settings/plan',
    createdAt: first.createdAt,
  });

  expect((await app.fetch(ada, `/api/v1/announcements/${second.id}/close`, { method: 'POST' })).status).toBe(204);
  expect((await app.fetch(ada, `/api/v1/announcements/${second.id}/close`, { method: 'POST' })).status).toBe(204);
  expect([await seen(ada), await seen(bob)]).toEqual([['<b>We move</b>'], ['<b>We move</b>', 'Hello']]);
  // One row for each who closed it, however many there are.
  expect(await db.orm.select().from(db.tables.announcementClosed)).toHaveLength(1);
  expect((await announcements.list({})).announcements.map(({ closedBy, state }) => [closedBy, state]).sort()).toEqual([
    [0, 'shown'],
    [1, 'shown'],
  ]);

  app.clock.advance(hourMs);
  expect(await seen(bob)).toEqual(['Hello']);
  expect(await announcements.withdraw(root.id, second.id)).toMatchObject({ state: 'withdrawn' });
  expect(await announcements.withdraw(root.id, second.id)).toMatchObject({ state: 'withdrawn' });
  expect(await seen(bob)).toEqual([]);
  expect((await announcements.list({})).announcements.map(({ state }) => state).sort()).toEqual(['over', 'withdrawn']);
  expect((await audit.list({ subject: 'platform', limit: 10 })).map(({ action }) => action)).toEqual([
    'announcement.withdrawn',
    'announcement.made',
    'announcement.made',
  ]);
  await expect(announcements.close(ada.id, root.id)).rejects.toMatchObject({ code: 'not_found' });
  const past = { kind: 'info', english: 'Late', until: new Date(app.clock.now()).toISOString() } as const;
  await expect(announcements.add(root.id, past)).rejects.toMatchObject({ code: 'invalid_input' });
});

test('the list goes on where a page has ended', async () => {
  await using app = await testApp();
  const root = await app.person({ admin: true });
  const { announcements } = app.app;
  for (let n = 0; n < 25; n += 1) await announcements.add(root.id, { kind: 'info', english: `News ${n}` });
  const first = await announcements.list({});
  const second = await announcements.list({ cursor: first.nextCursor ?? '' });
  expect([first.announcements.length, second.announcements.length, second.nextCursor]).toEqual([20, 5, null]);
  expect(new Set([...first.announcements, ...second.announcements].map(({ english }) => english)).size).toBe(25);
  expect((await announcements.current(root.id)).length).toBe(5);
});

test('a link goes to this server or by https to another, and to no script', () => {
  const isTaken = (link: string) => NewAnnouncement.safeParse({ kind: 'info', english: 'x', link }).success;
  for (const link of ['/settings/plan', '/', 'https://status.example.com/today?x=1#y']) expect(isTaken(link), link).toBe(true);
  for (const link of [
    ...['javascript:alert(1)', 'http://example.com', '//evil.example', '/\\evil.example', '/\t/evil.example', 'data:text/html,x', 'x'],
    ...['https://user:secret@example.com', 'https:evil', 'HTTPS://', '/a b', ` javascript:alert(1)`, 'https://exa mple.com'],
  ])
    expect(isTaken(link), link).toBe(false);
  for (const english of ['', '  ', 'a\nb', 'a\u0000b', 'x'.repeat(501)])
    expect(NewAnnouncement.safeParse({ kind: 'info', english }).success, english).toBe(false);
});

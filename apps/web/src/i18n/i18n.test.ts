import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { formatCount, formatDateTime, formatUsd } from '../format.ts';
import { fromServer, hasText, list, loadTexts, plural, preferredLanguage, setLanguage, setTimeZone, t, timeZone } from './i18n.ts';

vi.stubGlobal('document', { documentElement: {} });
beforeAll(async () => {
  await setLanguage('de');
  await loadTexts('profile');
});
// Other files of the same worker share it.
afterAll(() => setLanguage('en'));

test('what differs in a sentence of the server stays as it was', () => {
  expect(fromServer('Only addresses at a.example, b.example can sign up here.')).toBe(
    'Hier können sich nur Adressen von a.example, b.example registrieren.',
  );
  expect(fromServer('name: Give the token a name.')).toBe('Gib dem Token einen Namen.');
  expect(fromServer('A sentence that nobody knows.')).toBe('A sentence that nobody knows.');
});

test('a name that the server made is known to be a text or to be none', () => {
  const names = ['keys.states.valid.label', 'keys.states.valid', 'keys.states.made_up.label', 'keys.constructor', 'nothing'];
  expect(names.map(hasText)).toEqual([true, false, false, false, false]);
});

test('numbers, money and plurals follow the language', async () => {
  expect(formatCount(1234567)).toBe('1.234.567');
  expect(formatUsd(12.5)).toMatch(/^12,50\s\$$/);
  expect(plural('common.unpriced', 1)).toBe('1 Anfrage mit unbekanntem Preis');
  expect(plural('common.unpriced', 1200)).toBe('1.200 Anfragen mit unbekanntem Preis');
  expect(list('keys.steps.unverified', { name: 'OpenAI' })).toEqual(['„Schlüssel testen“ fragt OpenAI sofort.']);
  await setLanguage('en');
  expect(plural('common.unpriced', 1200)).toBe('1,200 requests of unknown price');
  expect([0, 1, 2].map((count) => plural('common.unpriced', count))).toEqual([
    '0 requests of unknown price',
    '1 request of unknown price',
    '2 requests of unknown price',
  ]);
  expect([0, 1, 2].map((count) => plural('profile.password.ended', count))).toEqual([
    'There was no other session.',
    '1 other session was signed out.',
    '2 other sessions were signed out.',
  ]);
  expect(t('keys.removed', { name: 'OpenAI' })).toBe('Your OpenAI key was removed from this server.');
  await setLanguage('de');
});

test.each([
  [['de-AT', 'en'], 'de'],
  [['fr', 'en-GB', 'de'], 'en'],
  [['fr'], 'en'],
  [[], 'en'],
])('a browser that asks for %j gets %s', (tags, expected) => {
  expect(preferredLanguage(tags)).toBe(expected);
});

test('a browser that names languages as no standard does has numbers and dates all the same', async () => {
  vi.stubGlobal('navigator', { languages: ['en-US@posix', 'en_GB', 'en-AU'] });
  vi.resetModules();
  const fresh = await import('./i18n.ts');
  expect(fresh.formatLocale.value).toBe('en-AU');
  expect(fresh.plural('common.unpriced', 1200)).toBe('1,200 requests of unknown price');
  vi.unstubAllGlobals();
  vi.stubGlobal('document', { documentElement: {} });
});

test('a part that is fetched with its pages is there in the language that was chosen before, and in the one chosen after', async () => {
  vi.resetModules();
  const fresh = await import('./i18n.ts');
  await fresh.setLanguage('de');
  await fresh.loadTexts('admin');
  expect(fresh.t('admin.agents.add')).toBe('Agent hinzufügen');
  expect(fresh.fromServer('From 0 to 2.')).toBe('Von 0 bis 2.');
  await fresh.setLanguage('en');
  expect(fresh.t('admin.agents.add')).toBe('Add agent');
  vi.resetModules();
  const later = await import('./i18n.ts');
  await later.loadTexts('admin');
  await later.setLanguage('de');
  expect([later.t('admin.agents.add'), later.t('common.agents')]).toEqual(['Agent hinzufügen', 'Agenten']);
});

test('a time zone that this browser does not know yet leaves its own', () => {
  const own = timeZone.value;
  setTimeZone('America/Not_Yet_Named');
  expect(timeZone.value).toBe(own);
  expect(formatDateTime('2026-11-23T12:00:00Z')).toContain('2026');
  setTimeZone(null);
});

test('of two choices of a language the later one holds, however long the texts of the first take', async () => {
  vi.resetModules();
  const fresh = await import('./i18n.ts');
  const first = fresh.setLanguage('de');
  await fresh.setLanguage('en');
  await first;
  expect(fresh.language.value).toBe('en');
});

test.each(['Etc/Unknown', '+03:00', undefined])(
  'a browser that takes its time zone for %s has UTC, which the server knows',
  async (zone) => {
    const real = Intl.DateTimeFormat.prototype.resolvedOptions;
    const told = vi.spyOn(Intl.DateTimeFormat.prototype, 'resolvedOptions').mockImplementation(function (this: Intl.DateTimeFormat) {
      return { ...real.call(this), timeZone: zone as string };
    });
    vi.resetModules();
    const fresh = await import('./i18n.ts');
    told.mockRestore();
    expect(fresh.timeZone.value).toBe('UTC');
  },
);

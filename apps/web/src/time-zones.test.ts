import { expect, test } from 'vitest';
import { allZones, matchesZone, zoneName } from './time-zones.ts';

test.each([
  ['berlin', ['Europe/Berlin']],
  ['New y', ['America/New_York']],
  ['São P', ['America/Sao_Paulo']],
  ['amerika buenos', ['America/Buenos_Aires']],
  ['europe/lis', ['Europe/Lisbon']],
  ['Wien', ['Europe/Vienna']],
  ['kyiv', ['Europe/Kiev']],
  ['utc', ['UTC']],
  ['atlantis', []],
  ['constructor', []],
])('"%s" finds its zone', (typed, found) => {
  expect(allZones().filter((zone) => matchesZone(zone, typed))).toEqual(found);
});

test('nothing typed leaves all of them', () => {
  expect(allZones().filter((zone) => matchesZone(zone, ' '))).toEqual(allZones());
  expect(allZones().length).toBeGreaterThan(300);
  expect(zoneName('America/New_York')).toBe('America/New York');
});

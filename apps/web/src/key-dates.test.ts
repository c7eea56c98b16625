import { expect, test } from 'vitest';
import { dayOfExpiry, endOfDay, expiryMistake } from './key-dates.ts';

test.each([
  ['2026-12-31', 'UTC', '2026-12-31T23:59:59.999Z'],
  ['2026-12-31', 'Europe/Berlin', '2026-12-31T22:59:59.999Z'],
  ['2026-12-31', 'Asia/Kolkata', '2026-12-31T18:29:59.999Z'],
  ['2026-12-31', 'Pacific/Kiritimati', '2026-12-31T09:59:59.999Z'],
  ['2026-12-31', 'Pacific/Pago_Pago', '2027-01-01T10:59:59.999Z'],
  // The clocks go back, and forth, on that day.
  ['2026-10-25', 'Europe/Berlin', '2026-10-25T22:59:59.999Z'],
  ['2026-03-29', 'Europe/Berlin', '2026-03-29T21:59:59.999Z'],
])('%s in %s ends at %s, and is shown as that day again', (day, zone, instant) => {
  expect(endOfDay(day, zone)).toBe(instant);
  expect(dayOfExpiry(instant, zone)).toBe(day);
});

test('today is a day to choose, yesterday is not, and neither is one that is far away or none', () => {
  const nowMs = Date.parse('2026-11-23T23:30:00Z');
  const mistakes = (zone: string) =>
    ['', '2026-11-23', '2026-11-24', '2046-11-01', '2047-01-01', '20261-01-01'].map((day) => expiryMistake(day, nowMs, zone));
  expect(mistakes('UTC')).toEqual([null, null, null, null, 'far', 'far']);
  expect(mistakes('Europe/Berlin')).toEqual([null, 'past', null, null, 'far', 'far']);
});

import type { RotationView } from '@synthstack/core';
import { expect, test } from 'vitest';
import { phaseOf } from './rotation-phase.ts';

const former = (rows: number, isHere = true) => ({ masterKeyId: 'mk_1', rows, isHere });
const started = { at: '2026-11-23T12:00:00.000Z', by: 'Ada' };

const view = (fields: Partial<RotationView>): RotationView => ({
  ...{ masterKeyId: 'mk_2', isRunning: false, total: 10, done: 10, tables: [], formerKeys: [], removable: [] },
  ...{ unreadableRows: 0, error: null, lastStart: null },
  ...fields,
});

test.each([
  ['idle', 'one key', {}],
  ['idle', 'only a key that is not here is missing: no run helps', { formerKeys: [former(3, false)] }],
  ['ready', 'rows on a former key', { formerKeys: [former(3)] }],
  ['running', 'at work, with nothing done yet', { isRunning: true, formerKeys: [former(3)], unreadableRows: 3 }],
  ['interrupted', 'begun and not ended', { formerKeys: [former(3)], lastStart: started }],
  ['interrupted', 'some do not open, and more are left', { formerKeys: [former(3)], lastStart: started, unreadableRows: 2 }],
  ['stuck', 'what is left does not open', { formerKeys: [former(3)], lastStart: started, unreadableRows: 3 }],
  ['done', 'the former key is removable', { formerKeys: [former(0)], removable: ['mk_1'], lastStart: started }],
] as const)('%s: %s', (phase, _why, fields) => {
  expect(phaseOf(view(fields as Partial<RotationView>))).toBe(phase);
});

test('fewer rows than a moment ago, and not by this server: another process works at it, until none of them goes any more', () => {
  const [more, less] = [9, 5].map((rows) => view({ formerKeys: [former(rows)], lastStart: started })) as [RotationView, RotationView];
  expect(phaseOf(less, more)).toBe('elsewhere');
  expect(phaseOf(less, less)).toBe('interrupted');
  expect(phaseOf(less, { ...more, isRunning: true })).toBe('interrupted');
});

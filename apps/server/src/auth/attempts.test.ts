import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { manualClock } from '../../test/clock.ts';
import { createAddressOf, neighbourhood } from './address.ts';
import { createAttempts, createGate } from './attempts.ts';

const request = (remoteAddress: string | undefined, forwarded?: string) =>
  ({ socket: { remoteAddress }, headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded } }) as unknown as IncomingMessage;

test('an account may be tried twenty times in fifteen minutes, from wherever', () => {
  const clock = manualClock();
  const attempts = createAttempts(clock);
  for (let i = 0; i < 20; i += 1) attempts.take('ada@example.com', `10.0.0.${i}`);
  expect(() => attempts.take('ADA@example.com', '10.9.9.9')).toThrow(
    expect.objectContaining({ code: 'limit_reached', retryAfterMs: 900_000 }),
  );
  attempts.take('bob@example.com', '10.0.0.1');
  clock.advance(899_999);
  expect(() => attempts.take('ada@example.com', '10.9.9.9')).toThrow();
  clock.advance(1);
  attempts.take('ada@example.com', '10.9.9.9');
});

test('an address may try a hundred accounts, and one that gets in does not count', () => {
  const attempts = createAttempts(manualClock());
  for (let i = 0; i < 300; i += 1) {
    attempts.take(`user${i}@example.com`, '10.0.0.1');
    attempts.forgive(`user${i}@example.com`, '10.0.0.1');
  }
  for (let i = 0; i < 100; i += 1) attempts.take(`user${i}@example.com`, '10.0.0.1');
  expect(() => attempts.take('last@example.com', '10.0.0.1')).toThrow();
  attempts.take('last@example.com', '10.0.0.2');
});

test('a refused attempt does not lengthen the wait', () => {
  const clock = manualClock();
  const attempts = createAttempts(clock);
  for (let i = 0; i < 20; i += 1) attempts.take('ada@example.com', '');
  for (let i = 0; i < 50; i += 1) expect(() => attempts.take('ada@example.com', '')).toThrow();
  clock.advance(900_000);
  attempts.take('ada@example.com', '');
});

test('few run at once, the others in the order in which they came, and too many are told so', async () => {
  const gate = createGate(2, 3);
  const order: number[] = [];
  let running = 0;
  let most = 0;
  const work = (i: number) => async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(i);
    running -= 1;
    if (i === 1) throw new Error('fails, and gives its place back all the same');
  };
  const outcomes = await Promise.allSettled([0, 1, 2, 3, 4, 5, 6].map((i) => gate(work(i))));
  expect(most).toBe(2);
  expect(order).toEqual([0, 1, 2, 3, 4]);
  expect(outcomes.map((one) => one.status === 'rejected' && one.reason.code)).toEqual([
    false,
    undefined,
    false,
    false,
    false,
    'busy',
    'busy',
  ]);
  await gate(work(7));
  expect(order.at(-1)).toBe(7);
});

test('the address is the socket, or the first hop that no trusted proxy vouches for', () => {
  const direct = createAddressOf([]);
  expect(direct(request('192.0.2.1', '6.6.6.6'))).toBe('192.0.2.1');
  expect(direct(request('::ffff:192.0.2.1'))).toBe('192.0.2.1');
  expect(direct(request(undefined))).toBe('');
  const proxied = createAddressOf(['10.0.0.0/8', '::1', '2001:db8::/32']);
  const cases: [string, string | undefined, string][] = [
    ['10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', '6.6.6.6, 203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', '6.6.6.6, 203.0.113.9, 10.1.1.1', '203.0.113.9'],
    ['::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['::1', '2001:db8::5,  2a00::1 ', '2a00::1'],
    ['10.0.0.1', undefined, '10.0.0.1'],
    ['10.0.0.1', 'not an address', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.2, 10.0.0.3', '10.0.0.2'],
    ['203.0.113.9', '6.6.6.6', '203.0.113.9'],
  ];
  for (const [remote, forwarded, address] of cases)
    expect([remote, forwarded, proxied(request(remote, forwarded))]).toEqual([remote, forwarded, address]);
});

test('a whole /64 counts as one address', () => {
  expect(neighbourhood('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
  expect(neighbourhood('2001:db8:1:2::9')).toBe('2001:db8:1:2::/64');
  expect(neighbourhood('2001:db8::1')).toBe('2001:db8:0:0::/64');
  expect(neighbourhood('::1')).toBe('0:0:0:0::/64');
  expect(neighbourhood('192.0.2.1')).toBe('192.0.2.1');
});

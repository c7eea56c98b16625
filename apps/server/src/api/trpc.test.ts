import { TRPC_ERROR_CODES_BY_KEY, TRPC_ERROR_CODES_BY_NUMBER } from '@trpc/server/rpc';
import { retryableRpcCodes } from '@trpc/server/unstable-core-do-not-import';
import { expect, test } from 'vitest';
import { testApp } from '../../test/app.ts';
import { all, eventsOf } from '../../test/chat.ts';

test('a refusal while a subscription runs has a number of its own, at which no client asks again by itself', async () => {
  await using app = await testApp();
  const input = encodeURIComponent(JSON.stringify({ answerId: '00000000-0000-4000-8000-000000000000' }));
  const res = await app.fetch(await app.person(), `/trpc/agents.answer?input=${input}`);
  const told = await all(eventsOf(res));
  expect(told.map(({ name }) => name)).toEqual(['connected', 'serialized-error']);
  const refusal = JSON.parse(told[1]?.data ?? '');
  expect(refusal).toMatchObject({ message: expect.stringMatching(/no such answer/), data: { code: 'not_found', httpStatus: 404 } });
  expect(TRPC_ERROR_CODES_BY_NUMBER[refusal.code as keyof typeof TRPC_ERROR_CODES_BY_NUMBER]).toBe('NOT_FOUND');
  expect(retryableRpcCodes).not.toContain(refusal.code);
});

test('what a procedure throws and what its middleware does have the same shape, with a status and a number that fit the code', async () => {
  await using app = await testApp();
  const ada = await app.person({ tier: 'community' });
  const shapeOf = async (path: string, json: unknown, who: typeof ada | null = ada) => {
    const res = await app.fetch(who, `/trpc/${path}`, { json });
    return { status: res.status, ...((await res.json()) as { error: object }).error };
  };
  const { BAD_REQUEST, FORBIDDEN, NOT_FOUND, UNAUTHORIZED } = TRPC_ERROR_CODES_BY_KEY;
  expect(await shapeOf('agents.stop', { answerId: '00000000-0000-4000-8000-000000000000' })).toMatchObject({
    ...{ status: 404, code: NOT_FOUND, data: { code: 'not_found', httpStatus: 404 } },
  });
  expect(await shapeOf('agents.ask', { agent: 'designer', content: 'hello' })).toMatchObject({
    ...{ status: 403, code: FORBIDDEN, data: { code: 'plan_required' } },
  });
  expect(await shapeOf('agents.stop', { answerId: 'x' })).toMatchObject({
    ...{ status: 400, code: BAD_REQUEST, data: { code: 'invalid_input', errors: { answerId: [expect.any(String)] } } },
  });
  expect(await shapeOf('agents.stop', {}, null)).toMatchObject({ status: 401, code: UNAUTHORIZED, data: { code: 'unauthenticated' } });
  expect(await shapeOf('none.such', {})).toMatchObject({ status: 404, code: NOT_FOUND, data: { code: 'not_found' } });
});

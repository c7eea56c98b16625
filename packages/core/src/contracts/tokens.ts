import { z } from 'zod';
import { nameOf } from './accounts.ts';

export const TokenScope = z.enum(['gateway', 'manage'], { error: 'scopes: gateway, manage.' });
export type TokenScope = z.infer<typeof TokenScope>;

export const NewToken = z.strictObject({
  name: nameOf('Give the token a name.'),
  expiresAt: z.iso.datetime({ offset: true, error: 'expiresAt: an ISO 8601 instant such as 2027-01-01T00:00:00Z.' }).nullish(),
  scopes: z.array(TokenScope).min(1, 'Name at least one scope.').max(2).default(['gateway']),
});
export type NewToken = z.infer<typeof NewToken>;

export const TokenRef = z.strictObject({ id: z.uuid('This is not the id of a token.') });

export const TokenView = z.object({
  id: z.uuid(),
  name: z.string(),
  prefix: z.string().describe('The first characters, enough to recognise it.'),
  scopes: z.array(TokenScope),
  expiresAt: z.iso.datetime().nullable(),
  lastUsedAt: z.iso.datetime().nullable(),
  createdAt: z.iso.datetime(),
});
export type TokenView = z.infer<typeof TokenView>;
export const TokenList = z.object({ tokens: z.array(TokenView) });
export const CreatedToken = z.object({ token: TokenView, secret: z.string().describe('Shown once.') });

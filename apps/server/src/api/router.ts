/** The table of contents of everything that can be called. */
import { accounts } from './accounts.ts';
import { keys } from './keys.ts';
import { tokens } from './tokens.ts';
import { router } from './trpc.ts';
import { usage } from './usage.ts';

export const appRouter = router({ accounts, keys, usage, tokens });
export type AppRouter = typeof appRouter;

/** The table of contents of everything that can be called. */
import { accounts } from './accounts.ts';
import { adminAgents } from './admin-agents.ts';
import { agents } from './agents.ts';
import { conversations } from './conversations.ts';
import { keys } from './keys.ts';
import { adminNotices, notices } from './notices.ts';
import { tokens } from './tokens.ts';
import { router } from './trpc.ts';
import { usage } from './usage.ts';

export const appRouter = router({
  accounts,
  keys,
  usage,
  tokens,
  agents,
  conversations,
  notices,
  admin: router({ agents: adminAgents, notices: adminNotices }),
});
export type AppRouter = typeof appRouter;

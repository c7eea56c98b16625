/** The table of contents of everything that can be called. */
import type { z } from 'zod';
import { usualBodyBytes } from '../body.ts';
import { accounts } from './accounts.ts';
import { adminAgents } from './admin-agents.ts';
import { adminAudit } from './admin-audit.ts';
import { adminHealth } from './admin-health.ts';
import { adminLimits, adminModels } from './admin-limits.ts';
import { adminPlatformKeys } from './admin-platform-keys.ts';
import { adminPrices } from './admin-prices.ts';
import { adminRotation } from './admin-rotation.ts';
import { adminUsage } from './admin-usage.ts';
import { adminUsers } from './admin-users.ts';
import { agents } from './agents.ts';
import { adminAnnouncements, announcements } from './announcements.ts';
import { billing } from './billing.ts';
import { conversations } from './conversations.ts';
import { keys } from './keys.ts';
import { adminNotices, notices } from './notices.ts';
import { tokens } from './tokens.ts';
import { type Meta, router } from './trpc.ts';
import { usage } from './usage.ts';

export const appRouter = router({
  accounts,
  keys,
  usage,
  tokens,
  agents,
  conversations,
  notices,
  announcements,
  billing,
  admin: router({
    agents: adminAgents,
    announcements: adminAnnouncements,
    audit: adminAudit,
    health: adminHealth,
    limits: adminLimits,
    models: adminModels,
    notices: adminNotices,
    platformKeys: adminPlatformKeys,
    prices: adminPrices,
    rotation: adminRotation,
    usage: adminUsage,
    users: adminUsers,
  }),
});
export type AppRouter = typeof appRouter;

interface Procedure {
  _def: { meta?: Meta; type: 'query' | 'mutation' | 'subscription'; inputs: z.ZodType[]; output?: z.ZodType };
}

/** By their full names, such as `keys.save`. */
export const procedures = new Map(Object.entries(appRouter._def.procedures as unknown as Record<string, Procedure>));

/** How many bytes the body of a call may have. @param path  the name of a procedure, or those of a batch with commas between them */
export function bodyLimit(path: string): number {
  return Math.max(...path.split(',').map((name) => procedures.get(name)?._def.meta?.bodyBytes ?? usualBodyBytes));
}

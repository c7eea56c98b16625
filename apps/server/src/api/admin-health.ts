import { SystemHealth } from '@synthstack/core';
import { adminProcedure } from './trpc.ts';

export const adminHealth = adminProcedure
  .meta({ rest: 'GET /api/v1/admin/health', summary: 'How the server is: database, master keys, disk, e-mail, prices, providers' })
  .output(SystemHealth)
  .query(({ ctx }) => ctx.app.health.report());

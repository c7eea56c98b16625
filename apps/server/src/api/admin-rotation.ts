import { RotationView } from '@synthstack/core';
import { adminProcedure, router } from './trpc.ts';

export const adminRotation = router({
  state: adminProcedure
    .meta({ rest: 'GET /api/v1/admin/rotation', summary: 'How many stored secrets are sealed with which master key' })
    .output(RotationView)
    .query(({ ctx }) => ctx.app.rotation.state()),

  start: adminProcedure
    .meta({
      rest: 'POST /api/v1/admin/rotation',
      summary: 'Seal all stored secrets anew with ENCRYPTION_KEY, in the background; `state` tells how far it is',
    })
    .output(RotationView)
    .mutation(({ ctx }) => ctx.app.rotation.start(ctx.caller.userId)),
});

import { z } from 'zod';

const MasterKeyId = z.string().describe('Says which master key it is, and nothing about it.');

/** How far a rotation of the master key is, as the database says: whichever process works at it. */
export const RotationView = z.object({
  masterKeyId: MasterKeyId.describe('ENCRYPTION_KEY, with which everything is to be sealed.'),
  isRunning: z.boolean().describe('Whether this process works at it.'),
  total: z.int().describe('Sealed rows in all.'),
  done: z.int().describe('Of them sealed with ENCRYPTION_KEY.'),
  tables: z.array(z.object({ table: z.string(), total: z.int(), done: z.int() })),
  formerKeys: z
    .array(
      z.object({
        masterKeyId: MasterKeyId,
        rows: z.int().describe('Still sealed with it.'),
        isHere: z.boolean().describe('Whether it is in ENCRYPTION_KEY_PREVIOUS. One that is not here cannot be replaced.'),
      }),
    )
    .describe('All master keys but ENCRYPTION_KEY that are needed, or were given.'),
  removable: z.array(MasterKeyId).describe('Nothing is sealed with them any more: take them out of ENCRYPTION_KEY_PREVIOUS.'),
  unreadableRows: z.int().describe('Rows that the last run in this process could not open with the key that they name, and left alone.'),
  error: z.string().nullable().describe('Why the last run in this process ended early.'),
  lastStart: z
    .object({
      at: z.iso.datetime(),
      by: z.string().nullable().describe('Name of an administrator; `cli`: the command; null: an account that is gone.'),
    })
    .nullable()
    .describe('The last run that had something to seal with ENCRYPTION_KEY; null: there was none yet.'),
});
export type RotationView = z.infer<typeof RotationView>;

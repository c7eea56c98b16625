import type { RotationView } from '@synthstack/core';

/**
 * What is to be said of a change of the master key.
 * - `idle`: there is one key, and everything is sealed with it
 * - `ready`: something is sealed with a former key, and nobody has begun yet
 * - `running`: this server works at it; `elsewhere`: another process does
 * - `interrupted`: somebody has begun, and nobody works at it
 * - `stuck`: what is left does not open with the key that it names
 * - `done`: the former keys can be taken out of the environment
 */
export type RotationPhase = 'idle' | 'ready' | 'running' | 'elsewhere' | 'interrupted' | 'stuck' | 'done';

/** Rows that another run would seal anew, if they open. */
export const rowsLeft = ({ formerKeys }: RotationView): number => formerKeys.reduce((sum, key) => sum + (key.isHere ? key.rows : 0), 0);

/** @param before  an earlier look: fewer rows since then, and somebody works at it */
export function phaseOf(view: RotationView, before?: RotationView): RotationPhase {
  if (view.isRunning) return 'running';
  const left = rowsLeft(view);
  if (left === 0) return view.removable.length > 0 ? 'done' : 'idle';
  if (left <= view.unreadableRows) return 'stuck';
  // The last page of a run here may be younger than the look before it.
  if (before && !before.isRunning && rowsLeft(before) > left) return 'elsewhere';
  return view.lastStart ? 'interrupted' : 'ready';
}

/** How many requests one person may have under way at a time, on whichever key: one program gone wild must not take every socket and all memory. */
import { AppError } from '@synthstack/core';

export type Concurrency = ReturnType<typeof createConcurrency>;

/** @param most  for one person, in this process */
export function createConcurrency(most: number) {
  const underWay = new Map<string, number>();

  return {
    /**
     * @returns to be called when the request is over; a second call does nothing
     * @throws AppError `limit_reached`
     */
    enter(userId: string): () => void {
      const before = underWay.get(userId) ?? 0;
      if (before >= most) throw tooMany(most);
      underWay.set(userId, before + 1);
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        const left = (underWay.get(userId) ?? 1) - 1;
        if (left > 0) underWay.set(userId, left);
        else underWay.delete(userId);
      };
    },
    /** People with requests under way. */
    get people(): number {
      return underWay.size;
    },
  };
}

const tooMany = (most: number) =>
  new AppError('limit_reached', `You have ${most} requests under way, which is as many as there may be. Wait for one to end.`, {
    retryAfterMs: 1_000,
  });

/** How far long work is, on standard error: a bar that fills on a terminal, elsewhere a line now and then. */

export interface Progress {
  /** @param done  of `total`, both in whatever is counted */
  at(done: number, total: number): void;
  /** The last word: what stands there is complete. */
  end(): void;
}

const barLength = 30;
const quietMs = 2_000;

export function createProgress(
  what: string,
  out: NodeJS.WriteStream = process.stderr,
  nowMs: () => number = () => performance.now(),
): Progress {
  let saidAt = Number.NEGATIVE_INFINITY;
  let last: [done: number, total: number] | null = null;
  let said: [done: number, total: number] | null = null;

  function say(): void {
    if (!last || (said?.[0] === last[0] && said[1] === last[1])) return;
    const [done, total] = last;
    const part = total > 0 ? Math.min(1, done / total) : 1;
    const filled = Math.round(part * barLength);
    const figures = `${done.toLocaleString('en')} of ${total.toLocaleString('en')}`;
    const bar = `[${'#'.repeat(filled)}${'.'.repeat(barLength - filled)}]`;
    out.write(out.isTTY ? `\r${what} ${bar} ${Math.floor(part * 100)} % (${figures})\u001b[K` : `${what}: ${figures}\n`);
    said = last;
    saidAt = nowMs();
  }

  return {
    at(done, total) {
      last = [done, total];
      // A terminal is written to as often as the eye sees; a file at the beginning and every two seconds.
      if (nowMs() - saidAt >= (out.isTTY ? 50 : quietMs)) say();
    },
    end() {
      say();
      if (out.isTTY && said) out.write('\n');
    },
  };
}

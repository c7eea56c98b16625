import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { quantile } from './figures.ts';

/** What it costs to have 4 kB on the disk of this folder, in milliseconds. */
export function measureDisk(folder: string, times = 200): { p50Ms: number; p99Ms: number } {
  const file = join(folder, 'fdatasync');
  const fd = openSync(file, 'w');
  const page = Buffer.alloc(4_096, 7);
  try {
    const took = Array.from({ length: times }, () => {
      const startMs = performance.now();
      writeSync(fd, page);
      fdatasyncSync(fd);
      return performance.now() - startMs;
    }).sort((a, b) => a - b);
    return { p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
  } finally {
    closeSync(fd);
    rmSync(file);
  }
}

/** What a rig is, and what it tells: figures, and the promises that it found broken. */
import { availableParallelism, loadavg } from 'node:os';
import { table } from '../bench/figures.ts';

export interface RigOptions {
  /** How often; what that counts is the rig's `unit`. */
  times: number;
  seed: number;
  /** Hears how far it has come. */
  say(line: string): void;
}

export interface Rig {
  summary: string;
  /** In full. */
  times: number;
  unit: string;
  run(options: RigOptions): Promise<Report>;
}

export interface Report {
  /** A short table of what was seen. */
  text: string;
  /** A sentence each. Empty: all is as promised. */
  broken: string[];
}

export interface Findings extends Report {
  figure(name: string, value: string | number): void;
  /** More than a line. */
  section(text: string): void;
  /** Notes `detail` unless the promise was kept. */
  promise(kept: boolean, detail: string): void;
}

export function createReport(): Findings {
  const parts: string[] = [];
  let rows: [string, string][] = [];
  const broken: string[] = [];

  function endTable(): void {
    if (rows.length > 0) parts.push(table(rows));
    rows = [];
  }

  return {
    broken,
    get text() {
      endTable();
      return parts.join('\n');
    },
    figure(name, value) {
      rows.push([name, typeof value === 'number' ? value.toLocaleString('en') : value]);
    },
    section(text) {
      endTable();
      parts.push(text);
    },
    promise(kept, detail) {
      if (!kept) broken.push(detail);
    },
  };
}

/** More is under way than a rig's own three processes. */
export const machineIsBusy = (): boolean => (loadavg()[0] ?? 0) > 2 * availableParallelism();

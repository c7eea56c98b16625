/** The relay's outlet to an HTTP response: its head leaves with the first byte, and a reader that stands still is let go. */
import type { ServerResponse } from 'node:http';
import type { Clock } from './ports/clock.ts';
import type { Headers } from './relay/attempt.ts';
import type { Outlet } from './relay/request.ts';

export interface OutletParts {
  /** Gets the headers that the caller gets. */
  said: Headers;
  /** The route is one of Anthropic's. */
  anthropic: boolean;
  /** Headers of ours that every answer carries. */
  ours: Record<string, string>;
  clock: Clock;
  /** How long a client may take nothing of what waits for it. */
  stallMs: number;
}

export function httpOutlet(res: ServerResponse, { said, anthropic, ours, clock, stallMs }: OutletParts): Outlet {
  let head: { status: number; headers: Headers } | null = null;
  let onGone = () => {};
  let onDrain = () => {};
  let over = false;
  let gone = res.destroyed;
  let letGo: (() => void) | null = null;
  res.on('drain', () => {
    stopWaiting();
    onDrain();
  });
  res.on('close', () => {
    stopWaiting();
    if (over) return;
    gone = true;
    onGone();
  });

  /** A client that takes nothing for so long is let go: what waits for it is memory, and perhaps a provider that is paused. */
  function waitForReader(): void {
    letGo ??= clock.after(stallMs, () => res.destroy());
  }
  function stopWaiting(): void {
    letGo?.();
    letGo = null;
  }

  function sendHead(length?: number): void {
    if (!head) return;
    const { status, headers } = head;
    head = null;
    res.writeHead(status, { ...shapedHeaders(headers, anthropic), ...ours, ...(length === undefined ? {} : { 'content-length': length }) });
  }

  return {
    head(status, headers, now) {
      head = { status, headers };
      Object.assign(said, headers);
      if (!now) return;
      sendHead();
      res.flushHeaders();
    },
    write(chunk) {
      sendHead();
      const hasRoom = res.write(chunk);
      if (!hasRoom) waitForReader();
      return hasRoom;
    },
    end(chunk) {
      over = true;
      sendHead(chunk?.length ?? 0);
      res.end(chunk);
      if (!res.writableFinished) waitForReader();
    },
    breakOff() {
      over = true;
      res.destroy();
    },
    onDrain(fn) {
      onDrain = fn;
    },
    onGone(fn) {
      onGone = fn;
      if (gone) fn();
    },
    get gone() {
      return gone;
    },
  };
}

/** Each SDK's users see the limit headers that they know. */
export function shapedHeaders<T extends string | string[]>(headers: Record<string, T>, anthropic: boolean): Record<string, T> {
  const others = anthropic ? /^x-ratelimit-(limit|remaining|reset)-requests$/ : /^anthropic-ratelimit-/;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !others.test(name)));
}

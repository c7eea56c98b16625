/**
 * Made-up requests of many days, written through the meter as if they had been made, so that every sum equals its rows. The same
 * seed gives the same requests at the same times of day.
 */
import { randomUUID } from 'node:crypto';
import { type FallbackReason, noTokens, type ProviderId, type TierName, type TokenCounts } from '@synthstack/core';
import type { Db } from '@synthstack/core/db';
import { createMeter, type OpenRequest, type Settlement } from '../src/meter.ts';
import { providerOf } from '../src/providers/catalog.ts';

/** What somebody uses a model for. Token counts are typical ones; `cached`, `reasoning` and `streamed` are parts of 1. */
export interface Habit {
  provider: ProviderId;
  route: string;
  model: string;
  /** The snapshot that answers, where it is not the name that was asked for. */
  answeredBy?: string;
  share: number;
  input: number;
  output: number;
  cached?: number;
  reasoning?: number;
  streamed?: number;
}

/** On whose key a request went: their own (`keyId`), or the platform's, and why. */
export interface Payer {
  tier: TierName;
  keyId: string | null;
  reason: FallbackReason | null;
}

export interface Person {
  userId: string;
  tokenIds: readonly string[];
  /** Requests on a usual working day. */
  aDay: number;
  habits: readonly Habit[];
  payerAt(provider: ProviderId, atMs: number): Payer;
}

export interface UsageStory {
  db: Db;
  people: readonly Person[];
  /** Everything lies before this moment, and no earlier than `days` UTC days before its day. */
  endMs: number;
  days: number;
  seed: number;
}

const dayMs = 86_400_000;
/** How much is done in each hour of the UTC day, and on each day of the week from Sunday. */
const hours = [1, 0, 0, 0, 0, 1, 2, 5, 9, 12, 12, 10, 7, 10, 12, 11, 9, 7, 5, 4, 4, 3, 2, 1];
const weekdays = [0.25, 1, 1.1, 1.15, 1.05, 0.85, 0.3];

interface Ending {
  share: number;
  status: number;
  state: Settlement['state'];
  /** On one's own key, and on the platform's. */
  codes?: readonly [string, string];
  /** The caller left in the middle: part of the output, estimated. */
  cut?: true;
}

const endings: readonly Ending[] = [
  { share: 0.955, status: 200, state: 'done' },
  { share: 0.014, status: 200, state: 'failed', codes: ['client_closed', 'client_closed'], cut: true },
  { share: 0.013, status: 429, state: 'failed', codes: ['rate_limited', 'platform_busy'] },
  { share: 0.01, status: 400, state: 'failed', codes: ['refused', 'refused'] },
  { share: 0.008, status: 502, state: 'failed', codes: ['provider_unreachable', 'provider_unreachable'] },
];

/** @returns how many requests were written */
export async function writeUsage({ db, people, endMs, days, seed }: UsageStory): Promise<number> {
  const random = randomFrom(seed);
  const planned = people.flatMap((person) => plan(person, endMs, days, random)).sort((a, b) => a.startedAt - b.startedAt);
  let nowMs = 0;
  const clock = { now: () => nowMs, after: () => () => undefined };
  const boot = { id: randomUUID(), slot: 0 };
  const meter = createMeter({ db, clock, boot, price: (provider, model, atMs) => providerOf(provider).price(model, atMs) });
  const written: Promise<unknown>[] = [];
  for (const { person, habit, startedAt } of planned) {
    nowMs = startedAt;
    const ending = oneOf(endings, random);
    const request = openRequest(meter.newId(), person, habit, ending, startedAt, random);
    const { settlement, lastsMs } = settle(habit, ending, request, random);
    written.push(meter.record(request));
    nowMs = Math.min(startedAt + lastsMs, endMs);
    // Writes land in the order in which they are handed in: this one finds its row.
    written.push(meter.settle(request, settlement));
  }
  await Promise.all(written);
  return planned.length;
}

interface Planned {
  person: Person;
  habit: Habit;
  startedAt: number;
}

function plan(person: Person, endMs: number, days: number, random: Random): Planned[] {
  const today = Math.floor(endMs / dayMs) * dayMs;
  return Array.from({ length: days + 1 }, (_, i) => i).flatMap((day) => {
    const midnight = today - (days - day) * dayMs;
    const growth = 0.55 + (0.7 * day) / days;
    const weekday = weekdays[new Date(midnight).getUTCDay()] ?? 1;
    const count = Math.round(person.aDay * growth * weekday * (0.6 + 0.8 * random()));
    return Array.from({ length: count }, () => {
      const hour = pick(hours, random);
      const startedAt = midnight + Math.floor((hour + random()) * 3_600_000);
      return { person, habit: oneOf(person.habits, random), startedAt };
    }).filter(({ startedAt }) => startedAt < endMs);
  });
}

function openRequest(id: number, person: Person, habit: Habit, ending: Ending, startedAt: number, random: Random): OpenRequest {
  const { provider, route, model } = habit;
  const { tier, keyId, reason } = person.payerAt(provider, startedAt);
  const givenBack = ending.status === 429 || ending.status === 502;
  return {
    id,
    userId: person.userId,
    tier,
    tokenId: person.tokenIds[Math.floor(random() * person.tokenIds.length)] ?? null,
    provider,
    route,
    model,
    streamed: ending.cut === true || random() < (habit.streamed ?? 0),
    firstKeyId: keyId,
    keyId,
    keyPosition: 0,
    hold: null,
    source: keyId ? 'user' : 'platform',
    fallbackReason: keyId ? null : reason,
    slotAt: keyId || givenBack ? null : startedAt,
    startedAt,
  };
}

function settle(habit: Habit, ending: Ending, request: OpenRequest, random: Random): { settlement: Settlement; lastsMs: number } {
  const firstByteMs = Math.round(200 + 900 * random() ** 2);
  const tokens = ending.status === 200 ? tokensOf(habit, ending.cut ? random() : 1, random) : null;
  const code = ending.codes?.[request.source === 'user' ? 0 : 1] ?? null;
  return {
    settlement: {
      state: ending.state,
      status: ending.status,
      errorCode: code,
      usage: tokens && { model: habit.answeredBy ?? habit.model, tokens, total: tokens.input + tokens.output },
      estimated: ending.cut === true,
      firstByteAt: tokens && request.startedAt + firstByteMs,
    },
    lastsMs: firstByteMs + (tokens?.output ?? 0) * 12,
  };
}

/** @param part  how much of the output had come */
function tokensOf(habit: Habit, part: number, random: Random): TokenCounts {
  const about = (typical: number) => Math.max(1, Math.round(typical * Math.exp(1.4 * (random() + random() - 1))));
  const input = about(habit.input);
  const output = habit.output === 0 ? 0 : Math.max(1, Math.round(about(habit.output) * part));
  // Every fifth use writes what the others read.
  const inCache = Math.floor(input * (habit.cached ?? 0));
  const writes = habit.provider === 'anthropic' && random() < 0.2;
  return {
    ...noTokens,
    input,
    output,
    cachedInput: writes ? 0 : inCache,
    cacheWrite: writes ? inCache : 0,
    reasoning: Math.floor(output * (habit.reasoning ?? 0)),
  };
}

type Random = () => number;

/** Mulberry32: small, and the same everywhere. @returns numbers from 0 to 1, without 1 */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** An index, by weight. */
function pick(weights: readonly number[], random: Random): number {
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return i;
  }
  return weights.length - 1;
}

function oneOf<T extends { share: number }>(choices: readonly [T, ...T[]] | readonly T[], random: Random): T {
  const found =
    choices[
      pick(
        choices.map((choice) => choice.share),
        random,
      )
    ];
  if (!found) throw new Error('There is nothing to choose from.');
  return found;
}

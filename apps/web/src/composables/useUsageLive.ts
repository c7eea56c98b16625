import type { EntryKey } from '@pinia/colada';
import { ear } from '../ear.ts';
import { useLive } from './useLive.ts';

/** Keeps up to date what the person's own requests change. @param keys  of the queries that are asked again */
export const useUsageLive = (keys: readonly EntryKey[]): void => useLive((hearing) => ear.usage.live.subscribe(undefined, hearing), keys);

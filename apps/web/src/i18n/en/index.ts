/** English. Each file holds the texts of one part of the pages; `de/` has the same files, and the compiler compares them. */
import { common } from './common.ts';
import { profile } from './profile.ts';
import { usage } from './usage.ts';

export const en = { common, profile, usage };

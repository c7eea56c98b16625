import { migration as m0 } from './0000_spine.ts';

export const migrations = [m0];

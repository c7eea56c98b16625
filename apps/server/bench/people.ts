/**
 * The people of the growth part, each known by a number: ids and tokens follow from it, so that seed and load agree on millions of them
 * without a list. They lie all over the indexes, as random ones do.
 */
import { hash } from 'node:crypto';
import { tokenPrefix } from '../src/tokens.ts';

/** Who asks: `active` people out of `users`, each as often as any other. */
export interface Crowd {
  users: number;
  active: number;
}

const digest = (what: string, person: number): string => hash('sha256', `bench ${what} ${person}`, 'hex');

/** A UUID. */
export function idOf(what: 'user' | 'account' | 'token' | 'key' | 'boot', person: number): string {
  const hex = digest(what, person);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** A gateway token, as tokens.ts would have issued it. */
export const tokenOf = (person: number): string => tokenPrefix + hash('sha256', `bench secret ${person}`, 'base64url');

/** @param part  from 0 to 1, without 1 */
export const oneOf = ({ users, active }: Crowd, part: number): number => Math.floor(part * active) * Math.floor(users / active);

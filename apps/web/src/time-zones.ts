/** The time zones of the world by their IANA names, and how people find theirs. */

/** All that this browser knows, in alphabetical order. */
export function allZones(): readonly string[] {
  const known = Intl.supportedValuesOf('timeZone');
  return known.includes('UTC') ? known : [...known, 'UTC'];
}

export const browserZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** `America/New_York` as people write it. */
export const zoneName = (zone: string): string => zone.replaceAll('_', ' ');

/** Each word that was typed begins a word of the name: "new y" finds New York, "sao" São Paulo. */
export function matchesZone(zone: string, typed: string): boolean {
  const names = wordsOf(zone);
  const words = [...names, ...names.flatMap((name) => otherNames[name]?.split(' ') ?? [])];
  return wordsOf(typed).every((part) => words.some((word) => word.startsWith(part)));
}

function wordsOf(text: string): string[] {
  const plain = text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  return plain.split(/[^a-z0-9+]+/).filter(Boolean);
}

/** What people type for a word of a zone's name: today's names where browsers keep the old ones, and the German ones. */
const otherNames: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  ...{ africa: 'afrika', america: 'amerika', asia: 'asien', australia: 'australien', europe: 'europa', pacific: 'pazifik' },
  ...{ athens: 'athen', belgrade: 'belgrad', brussels: 'brussel', bucharest: 'bukarest', cairo: 'kairo', copenhagen: 'kopenhagen' },
  ...{ havana: 'havanna', lisbon: 'lissabon', luxembourg: 'luxemburg', mexico: 'mexiko', moscow: 'moskau', prague: 'prag', rome: 'rom' },
  ...{ singapore: 'singapur', tehran: 'teheran', tokyo: 'tokio', vienna: 'wien', warsaw: 'warschau' },
  ...{ calcutta: 'kolkata kalkutta delhi mumbai india indien', kiev: 'kyiv kiew', katmandu: 'kathmandu', rangoon: 'yangon' },
  ...{ saigon: 'ho chi minh', godthab: 'nuuk', faeroe: 'faroe', shanghai: 'beijing peking', hong: 'hongkong' },
});

/**
 * The texts of the pages in the person's language. English is always here, and stands in for whatever another language lacks; the
 * others are fetched when they are chosen, and parts that few people need with the pages that show them. A text is named by its path in `en/`; a name that is not there does not compile.
 */
import { computed, ref } from 'vue';
import type { admin } from './en/admin.ts';
import type { adminPlatform } from './en/admin-platform.ts';
import type { chat } from './en/chat.ts';
import { en } from './en/index.ts';
import type { keyHistory } from './en/key-history.ts';
import type { notices } from './en/notices.ts';
import type { people } from './en/people.ts';
import type { profile } from './en/profile.ts';
import type { usage } from './en/usage.ts';

export type Messages = typeof en;
interface Parts {
  admin: typeof admin;
  adminPlatform: typeof adminPlatform;
  /** Only sentences of the server: what an agent's answer may end with, and what agents are called. */
  answers: Record<never, string>;
  chat: typeof chat;
  keyHistory: typeof keyHistory;
  notices: typeof notices;
  people: typeof people;
  profile: typeof profile;
  usage: typeof usage;
}
export type Part = keyof Parts;
export type Texts = Messages & Parts;

/** Each in its own words, as a choice of languages shows them. */
export const languages = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof languages;

/** A language beside English: its texts, and what it has for the server's sentences, English template -> translated template. */
export interface Translation {
  messages: Messages;
  sentences: Readonly<Record<string, string>>;
}

const loaders: Record<Exclude<Language, 'en'>, () => Promise<Translation>> = {
  de: async () => (await import('./de/index.ts')).de,
};

type PartOf<Name extends Part> = { messages: Parts[Name]; sentences?: Translation['sentences'] };
const partLoaders: { [Name in Part]: Record<Language, () => Promise<PartOf<Name>>> } = {
  admin: {
    en: async () => ({ messages: (await import('./en/admin.ts')).admin }),
    de: async () => (await import('./de/admin.ts')).de,
  },
  adminPlatform: {
    en: async () => ({ messages: (await import('./en/admin-platform.ts')).adminPlatform }),
    de: async () => (await import('./de/admin-platform.ts')).de,
  },
  answers: {
    en: async () => ({ messages: {} }),
    de: async () => (await import('./de/answers.ts')).de,
  },
  chat: {
    en: async () => ({ messages: (await import('./en/chat.ts')).chat }),
    de: async () => ({ messages: (await import('./de/chat.ts')).chat }),
  },
  keyHistory: {
    en: async () => ({ messages: (await import('./en/key-history.ts')).keyHistory }),
    de: async () => ({ messages: (await import('./de/key-history.ts')).keyHistory }),
  },
  notices: {
    en: async () => ({ messages: (await import('./en/notices.ts')).notices }),
    de: async () => ({ messages: (await import('./de/notices.ts')).notices }),
  },
  people: {
    en: async () => ({ messages: (await import('./en/people.ts')).people }),
    de: async () => (await import('./de/people.ts')).de,
  },
  profile: {
    en: async () => ({ messages: (await import('./en/profile.ts')).profile }),
    de: async () => ({ messages: (await import('./de/profile.ts')).profile }),
  },
  usage: {
    en: async () => ({ messages: (await import('./en/usage.ts')).usage }),
    de: async () => ({ messages: (await import('./de/usage.ts')).usage }),
  },
};
const wantedParts = new Set<Part>();

const chosenLanguage = ref<Language>('en');
export const language = computed(() => chosenLanguage.value);
/** Of each language that is here. */
const messagesOf = new Map<Language, object>([['en', en]]);

type Leaf<T, Kind> = {
  [Name in keyof T & string]: T[Name] extends Kind
    ? Name
    : T[Name] extends readonly unknown[] | string
      ? never
      : `${Name}.${Leaf<T[Name], Kind>}`;
}[keyof T & string];
export type TextKey = Leaf<Texts, string>;
export type ListKey = Leaf<Texts, readonly string[]>;
type Values = Readonly<Record<string, string | number>>;

/** The text of that name with `{values}` put in. Reactive: where it is shown, it changes with the language. */
export function t(key: TextKey, values: Values = {}): string {
  return filled(String(textAt(key)), values);
}

/**
 * The form of the text that fits the number: `one request | {n} requests`, or `no request | one request | {n} requests`; `{n}` is
 * written as people of the language write it.
 */
export function plural(key: TextKey, count: number, values: Values = {}): string {
  const forms = String(textAt(key)).split(' | ');
  const form = forms.length > 2 ? Math.min(count, forms.length - 1) : count === 1 ? 0 : forms.length - 1;
  return filled(forms[form] ?? '', { n: new Intl.NumberFormat(formatLocale.value).format(count), ...values });
}

/** Several sentences of one name. */
export function list(key: ListKey, values: Values = {}): string[] {
  return (textAt(key) as readonly string[]).map((text) => filled(text, values));
}

/** Whether there is a text of a name that the server had a part in. */
export function hasText(key: string): key is TextKey {
  const text = textAt(key);
  return typeof text === 'string' && text !== key;
}

const textAt = (key: string): unknown => at(messagesOf.get(language.value), key) ?? at(messagesOf.get('en'), key) ?? key;

const at = (messages: unknown, key: string): unknown =>
  key.split('.').reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], messages);

const filled = (text: string, values: Values): string => text.replace(/\{(\w+)\}/g, (_all, name: string) => String(values[name] ?? ''));

type Sentences = readonly (readonly [pattern: RegExp, translated: string])[];
const sentencesOf = new Map<string, Sentences>();

/** A sentence of the server, which speaks English, in the person's language where that has it. */
export function fromServer(sentence: string): string {
  const known = sentencesOf.get(language.value);
  return known ? (translated(sentence, known) ?? sentence) : sentence;
}

function translated(sentence: string, known: Sentences): string | undefined {
  for (const [pattern, text] of known) {
    const found = pattern.exec(sentence);
    if (found) return filled(text, found.groups ?? {});
  }
  // A complaint about the input begins with the field's name, which is no word of any language.
  const [, field, rest] = /^(\w+): (.+)$/s.exec(sentence) ?? [];
  return field && rest ? translated(rest, known) : undefined;
}

/** `{name}` in a template stands for any text. */
function patternOf(template: string): RegExp {
  const escaped = template.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace(/\{(\w+)\}/g, '(?<$1>.+)')}$`, 's');
}

/** How numbers and dates are written: as in the person's own country where the browser knows it to speak the language. */
export const formatLocale = computed(
  () => navigator.languages.find((tag) => isOf(tag, language.value) && isUsable(() => new Intl.NumberFormat(tag))) ?? language.value,
);

/** A computer without a zone has one that nobody knows, and the server knows zones by their names alone. */
const ownZone = knownZone(Intl.DateTimeFormat().resolvedOptions().timeZone) ?? 'UTC';
const chosenZone = ref<string | null>(null);
/** The IANA zone in which times are shown and days begin: the one in the person's profile, else the browser's. */
export const timeZone = computed(() => chosenZone.value ?? ownZone);

/** @param zone  null: the browser's, which also stands in for one that this browser does not know: zones are renamed, and browsers grow old */
export function setTimeZone(zone: string | null): void {
  chosenZone.value = knownZone(zone);
}

let lastChosen: Language = 'en';

/**
 * Rejects where the language's texts cannot be fetched; everything then stays as it was. So it does where another one has been chosen
 * meanwhile.
 */
export async function setLanguage(chosen: Language): Promise<void> {
  lastChosen = chosen;
  if (chosen !== 'en') await add(chosen, 'all', loaders[chosen]);
  await Promise.all([...wantedParts].map((part) => addPart(chosen, part)));
  if (lastChosen !== chosen) return;
  chosenLanguage.value = chosen;
  document.documentElement.lang = chosen;
}

/** Fetches the texts of a part, before the first page of it is shown. Rejects where they cannot be fetched. */
export async function loadTexts(part: Part): Promise<void> {
  wantedParts.add(part);
  await Promise.all([...new Set<Language>(['en', language.value, lastChosen])].map((one) => addPart(one, part)));
}

async function addPart(to: Language, part: Part): Promise<void> {
  await add(to, part, async () => {
    const { messages, sentences = {} } = await partLoaders[part][to]();
    return { messages: { [part]: messages }, sentences };
  });
}

const added = new Set<string>();

async function add(to: Language, what: string, load: () => Promise<{ messages: object; sentences: Translation['sentences'] }>) {
  const name = `${to} ${what}`;
  if (added.has(name)) return;
  const { messages, sentences } = await load();
  added.add(name);
  messagesOf.set(to, { ...messagesOf.get(to), ...messages });
  const patterns = Object.entries(sentences).map(([template, text]) => [patternOf(template), text] as const);
  sentencesOf.set(to, [...(sentencesOf.get(to) ?? []), ...patterns]);
}

/** The first of the browser's languages that there is a translation for. */
export function preferredLanguage(tags: readonly string[] = navigator.languages): Language {
  for (const tag of tags) {
    const found = (Object.keys(languages) as Language[]).find((one) => isOf(tag, one));
    if (found) return found;
  }
  return 'en';
}

export const isLanguage = (value: unknown): value is Language => typeof value === 'string' && Object.hasOwn(languages, value);

function knownZone(zone: string | null | undefined): string | null {
  return zone && !/^[+-]/.test(zone) && isUsable(() => new Intl.DateTimeFormat('en', { timeZone: zone })) ? zone : null;
}

/** Of some names the browser knows only that they are none, and throws. */
function isUsable(make: () => unknown): boolean {
  try {
    return Boolean(make());
  } catch {
    return false;
  }
}

const isOf = (tag: string, language: string): boolean => tag.toLowerCase().split('-')[0] === language;

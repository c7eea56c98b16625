/**
 * The texts of the pages in the person's language. English is always here, and stands in for whatever another language lacks; the
 * others are fetched when they are chosen. A text is named by its path in `en/`; a name that is not there does not compile.
 */
import { computed, ref } from 'vue';
import { createI18n } from 'vue-i18n';
import { en } from './en/index.ts';

export type Messages = typeof en;

/** Each in its own words, as a choice of languages shows them. */
export const languages = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof languages;

const loaders: Record<Exclude<Language, 'en'>, () => Promise<Messages>> = {
  de: async () => (await import('./de/index.ts')).de,
};

const i18n = createI18n({ legacy: false, locale: 'en' as string, fallbackLocale: 'en', messages: { en } as Record<string, Messages> });

type Leaf<T, Kind> = {
  [Name in keyof T & string]: T[Name] extends Kind
    ? Name
    : T[Name] extends readonly unknown[] | string
      ? never
      : `${Name}.${Leaf<T[Name], Kind>}`;
}[keyof T & string];
export type TextKey = Leaf<Messages, string>;
export type ListKey = Leaf<Messages, readonly string[]>;
type Values = Readonly<Record<string, string | number>>;

/** The text of that name with `{values}` put in. Reactive: where it is shown, it changes with the language. */
export function t(key: TextKey, values: Values = {}): string {
  return i18n.global.t(key, values);
}

/** The form of the text that fits the number: `one request | {n} requests`; `{n}` is written as people of the language write it. */
export function plural(key: TextKey, count: number, values: Values = {}): string {
  return i18n.global.t(key, { n: new Intl.NumberFormat(formatLocale.value).format(count), ...values }, count);
}

/** Several sentences of one name. */
export function list(key: ListKey, values: Values = {}): string[] {
  return (i18n.global.tm(key) as unknown[]).map((_text, index) => i18n.global.t(`${key}[${index}]` as string, values));
}

export const language = computed(() => i18n.global.locale.value as Language);

/** How numbers and dates are written: as in the person's own country where the browser knows it to speak the language. */
export const formatLocale = computed(() => navigator.languages.find((tag) => isOf(tag, language.value)) ?? language.value);

const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const chosenZone = ref<string | null>(null);
/** The IANA zone in which times are shown and days begin: the one in the person's profile, else the browser's. */
export const timeZone = computed(() => chosenZone.value ?? ownZone);

/** @param zone  null: the browser's */
export function setTimeZone(zone: string | null): void {
  chosenZone.value = zone;
}

/** Rejects where the language's texts cannot be fetched; everything then stays as it was. */
export async function setLanguage(chosen: Language): Promise<void> {
  if (chosen !== 'en' && !i18n.global.availableLocales.includes(chosen)) i18n.global.setLocaleMessage(chosen, await loaders[chosen]());
  i18n.global.locale.value = chosen;
  document.documentElement.lang = chosen;
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

const isOf = (tag: string, language: string): boolean => tag.toLowerCase().split('-')[0] === language;

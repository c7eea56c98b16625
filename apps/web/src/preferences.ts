/** How this browser shows the pages: language and appearance. Kept in this browser, since somebody who signs out still reads. */
import { defineStore } from 'pinia';
import { Dark } from 'quasar';
import { computed, ref } from 'vue';
import { isLanguage, type Language, language, preferredLanguage, setLanguage } from './i18n/i18n.ts';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const themeKey = 'byok-theme';
const languageKey = 'byok-language';

export const usePreferences = defineStore('preferences', () => {
  const theme = ref<Theme>(readTheme());

  function setTheme(chosen: Theme): void {
    theme.value = chosen;
    write(themeKey, chosen === 'system' ? null : chosen);
    Dark.set(chosen === 'system' ? 'auto' : chosen === 'dark');
  }

  /** Rejects where the language's texts cannot be fetched. */
  async function chooseLanguage(chosen: Language): Promise<void> {
    await setLanguage(chosen);
    // Not if another one has been chosen meanwhile.
    if (language.value === chosen) write(languageKey, chosen);
  }

  /** The language of somebody's account is used where this browser has no choice of its own. */
  async function adopt(locale: string | null): Promise<void> {
    if (isLanguage(read(languageKey))) return;
    const tags = locale === null ? navigator.languages : [locale, ...navigator.languages];
    // Without its texts the pages stay as they are.
    await setLanguage(preferredLanguage(tags)).catch(() => undefined);
  }

  /** Applies what was chosen before, else what the browser asks for. English where the language's texts cannot be fetched. */
  async function apply(): Promise<void> {
    setTheme(theme.value);
    const kept = read(languageKey);
    await setLanguage(isLanguage(kept) ? kept : preferredLanguage()).catch(() => setLanguage('en'));
  }

  // What was chosen in another tab of this browser.
  addEventListener('storage', ({ key, newValue }) => {
    if (key === themeKey) setTheme(themes.find((one) => one === newValue) ?? 'system');
    if (key === languageKey && isLanguage(newValue)) void setLanguage(newValue).catch(() => undefined);
  });

  return { theme, language: computed(() => language.value), setTheme, chooseLanguage, adopt, apply };
});

/** public/theme.js reads the same, so that the first paint is right already. */
function readTheme(): Theme {
  const kept = read(themeKey);
  return themes.find((theme) => theme === kept) ?? 'system';
}

/** A browser may forbid keeping anything. */
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // The choice then holds until the page is closed.
  }
}

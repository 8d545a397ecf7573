/**
 * Everything that people read on the page, in each language. A key is `room.name`, and each room has one
 * file in each language. A component takes `t` from `useTranslation`, and a pure function takes it from
 * here. The component of each route calls `useTranslation`, so that all below it is said again when the
 * language changes.
 *
 * English comes with the page; another language is one file that is fetched when it is spoken. Only the
 * page has words: the client library gives codes.
 */
import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';
import en from './en';

type Words = typeof en;

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'translation';
    resources: { translation: Words };
  }
}

const LOADERS = {
  en: () => Promise.resolve({ default: en }),
  hi: () => import('./hi'),
};

export type Language = keyof typeof LOADERS;

/** Each language by its own name. */
export const LANGUAGES: { code: Language; name: string }[] = [
  { code: 'en', name: 'English' },
  { code: 'hi', name: 'हिन्दी' },
];

const DEFAULT: Language = 'en';
const STORAGE_KEY = 'holdfast.language';

export const { t } = i18next;

/** The rooms whose names the server gives. */
type Told = 'event.name' | 'event.actor' | 'fault.reason' | 'frame.roles' | 'operator.code' | 'operator.kind' | 'sentence.reason';

/** What is said for a name that the server gave; undefined if the catalogue does not know it. */
export function wordsFor(room: Told, name: string): string | undefined {
  const known: unknown = i18next.getResource(i18next.language, 'translation', `${room}.${name}`);
  return typeof known === 'string' ? known : undefined;
}

/** Has the page speak the language that the user chose, or else the first of the browser's that there is. */
export async function startWords(language: Language = preferred()): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: language,
    resources: { [language]: { translation: await wordsOf(language) } },
    fallbackLng: false,
    // React escapes by itself, and text for other places is no markup.
    interpolation: { escapeValue: false },
    react: { useSuspense: false },
    returnEmptyString: false,
  });
}

/** Changes the language, and keeps it for the next visit. */
export async function speak(language: Language): Promise<void> {
  i18next.addResourceBundle(language, 'translation', await wordsOf(language));
  await i18next.changeLanguage(language);
  keep(language);
}

/** Calls back with the language at the start, and at each change. */
export function onLanguage(callback: (language: string) => void): void {
  i18next.on('languageChanged', callback);
}

/** The language that is spoken now. */
export function language(): Language {
  return asLanguage(i18next.language) ?? DEFAULT;
}

/**
 * The tag by which numbers and dates are written: Indian grouping, and the digits that India types. Hindi
 * has 24 hours, because its `pm` would be English.
 */
export function locale(): string {
  return language() === 'hi' ? 'hi-IN-u-hc-h23-nu-latn' : 'en-IN-u-nu-latn';
}

function preferred(): Language {
  return asLanguage(kept()) ?? firstOf(navigator.languages) ?? DEFAULT;
}

function firstOf(tags: readonly string[]): Language | undefined {
  return tags.map((tag) => asLanguage(tag.split('-')[0])).find((one) => one !== undefined);
}

function asLanguage(code: string | null | undefined): Language | undefined {
  return LANGUAGES.find((one) => one.code === code)?.code;
}

async function wordsOf(language: Language) {
  return (await LOADERS[language]()).default;
}

// A browser may forbid storage. Then the choice lasts as long as the page.
function kept(): string | null {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

function keep(language: Language): void {
  try {
    localStorage.setItem(STORAGE_KEY, language);
  } catch {
    // See kept.
  }
}

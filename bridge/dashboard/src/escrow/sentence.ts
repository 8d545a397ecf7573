/**
 * What core and Razorpay say in English, said in the language of the page. A sentence of core's is found by
 * its English words in the catalogue, which are core's own; `tests/core/law/test_sentence.py` compares them.
 * What the catalogue does not know is quoted.
 */
import { language, t, wordsFor } from '../words';
import en from '../words/en';

type Room = 'what' | 'why' | 'note';
type Told = { [room in Room]: keyof (typeof en.sentence)[room] }[Room];

interface Found {
  name: Told;
  values: Record<string, string>;
}

const PATTERNS: Partial<Record<Room, [name: string, pattern: RegExp][]>> = {};

/** A sentence of core's about what a person has to look at. */
export function sentenceWords(sentence: string): string {
  const found = find('what', sentence);
  if (!found) return language() === 'en' ? sentence : t('sentence.told', { words: sentence });
  const { reason, why } = found.values;
  const worded = {
    ...found.values,
    ...(reason !== undefined && { reason: reasonWords(reason) }),
    ...(why !== undefined && { why: whyWords(why) }),
  };
  return say('what', found.name, worded);
}

/** Why a payment cannot be used, without a full stop. */
export function whyWords(why: string): string {
  const found = find('why', why);
  if (found) return say('why', found.name, found.values);
  return language() === 'en' ? why : t('sentence.told', { words: why });
}

/** What the clock notes; the notes of people stay as they are. */
export function noteWords(note: string): string {
  const found = find('note', note);
  return found ? say('note', found.name, found.values) : note;
}

/** A reason of Razorpay's by its code (razorpay.com/docs/errors), without a full stop. */
export function reasonWords(code: string): string {
  return wordsFor('sentence.reason', code) ?? t('sentence.razorpay', { words: code.replaceAll('_', ' ') });
}

function say(room: Room, name: Told, values: Record<string, string>): string {
  // The names and their values come from the same catalogue, which is more than the types can follow.
  return (t as (key: string, values: Record<string, string>) => string)(`sentence.${room}.${name}`, values);
}

function find(room: Room, sentence: string): Found | undefined {
  PATTERNS[room] ??= Object.entries(en.sentence[room]).map(([name, text]) => [name, patternOf(text)]);
  for (const [name, pattern] of PATTERNS[room]) {
    const match = pattern.exec(sentence);
    if (match) return { name: name as Told, values: { ...match.groups } };
  }
  return undefined;
}

function patternOf(text: string): RegExp {
  const literal = text.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replace(/\{\{(\w+)\}\}/g, '(?<$1>.+?)')}$`, 's');
}

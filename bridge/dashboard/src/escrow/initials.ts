/** The letters that stand for a person in a small round mark. */

const LETTER = /[\p{L}\p{N}]/u;

/**
 * The first letter of the first and of the last word, as they are typed. A letter is what readers take
 * for one, with its marks and vowel signs. Where these make it wide, as in Hindi, one must do.
 */
export function initialsOf(name: string): string {
  const letters = name.split(/\s+/u).flatMap((word) => firstLetter(word) ?? []);
  const [first, last] = [letters[0] ?? '', letters.length > 1 ? (letters.at(-1) ?? '') : ''];
  return isNarrow(first) && isNarrow(last) ? first + last : first;
}

function firstLetter(word: string): string | undefined {
  return lettersOf(word).find((one) => LETTER.test(one));
}

function lettersOf(word: string): string[] {
  // Firefox has it since 125.
  if (typeof Intl.Segmenter !== 'function') return Array.from(word);
  return Array.from(new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(word), (one) => one.segment);
}

function isNarrow(letter: string): boolean {
  return Array.from(letter.normalize('NFC')).length <= 1;
}

const TONES = 6;

/** One of a few colours, the same for the same person everywhere. */
export function toneOf(userId: string): number {
  let sum = 0;
  for (const letter of userId) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 65_521;
  return sum % TONES;
}

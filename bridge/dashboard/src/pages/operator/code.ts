import { t, wordsFor } from '../../words';

/** A code of core in plain words. */
export function codeWords(code: string): string {
  return wordsFor('operator.code', code) ?? t('operator.code.OTHER');
}

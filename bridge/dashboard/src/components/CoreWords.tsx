import { useTranslation } from 'react-i18next';
import { language } from '../words';

/** What core says to operators in English, after a lead-in where the page speaks another language. */
export function CoreWords({ words }: { words: string }) {
  const { t } = useTranslation();
  if (language() === 'en') return words;
  return (
    <span>
      {t('operator.says')} <span lang="en">“{words}”</span>
    </span>
  );
}

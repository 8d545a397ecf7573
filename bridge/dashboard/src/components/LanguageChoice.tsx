import { SegmentedControl } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { LANGUAGES, language, speak, type Language } from '../words';

/** The languages of the page, each by its own name. */
export function LanguageChoice() {
  const { t } = useTranslation();
  return (
    <SegmentedControl<Language>
      size="xs"
      aria-label={t('frame.language')}
      data={LANGUAGES.map(({ code, name }) => ({ value: code, label: <span lang={code}>{name}</span> }))}
      value={language()}
      onChange={(code) => void speak(code)}
    />
  );
}

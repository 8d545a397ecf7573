/** The tests read the page in English. A placeholder that nothing fills is an error. */
import i18next from 'i18next';
import { startWords } from '../src/words';

await startWords('en');
i18next.options.missingInterpolationHandler = (text, [placeholder]) => {
  throw new Error(`nothing fills ${placeholder ?? ''} of “${text}”`);
};

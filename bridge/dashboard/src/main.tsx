import '@fontsource-variable/inter/wght.css';
import '@fontsource-variable/source-serif-4/wght.css';
import './fonts/rupee.css';
import '@mantine/core/styles.css';
import './styles.css';
import { startTransition, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { onLanguage, startWords } from './words';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
onLanguage((language) => {
  document.documentElement.lang = language;
});
await startWords();
// In pieces, so that a slow phone can answer to a touch meanwhile.
startTransition(() =>
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  ),
);

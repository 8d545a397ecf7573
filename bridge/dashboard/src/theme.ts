/** The theme: the colours of paper, ink and kelp. The colours of statuses are in styles.css. */
import { createTheme, type AlertProps, type MantineColorsTuple, type ModalProps } from '@mantine/core';
import { t } from './words';

const kelp: MantineColorsTuple = [
  '#ecf7f4',
  '#d9ece8',
  '#b0d9d0',
  '#84c5b8',
  '#5fb4a3',
  '#3a9c8b',
  '#12685c',
  '#0f5a50',
  '#0c4c44',
  '#083d37',
];

/** Mantine's dark surfaces, in a deep sea green instead of blue-grey. */
const dark: MantineColorsTuple = [
  '#e4ebe8',
  '#c2cecb',
  '#a3b2ae',
  '#7f908c',
  '#3d4d4a',
  '#2c3a37',
  '#1c2826',
  '#141e1c',
  '#0f1716',
  '#0a100f',
];

/** Mantine's greys, warmed to go with paper. */
const gray: MantineColorsTuple = [
  '#faf9f5',
  '#f2f0e9',
  '#e8e4da',
  '#dcd7ca',
  '#cbc5b6',
  '#a8a293',
  '#7d796d',
  '#565a55',
  '#38413e',
  '#1d2825',
];

/** Brick, dark enough at 6 for white words on a button. */
const red: MantineColorsTuple = [
  '#fdf1ee',
  '#fbe7e1',
  '#f3c9bf',
  '#e9a394',
  '#dc7963',
  '#c2523a',
  '#a3341f',
  '#8b2c1a',
  '#6f2315',
  '#541a10',
];

const TONES: Record<string, { '--alert-bg': string; '--alert-color': string }> = {
  yellow: { '--alert-bg': 'var(--hf-tone-held-soft)', '--alert-color': 'var(--hf-tone-held)' },
  red: { '--alert-bg': 'var(--hf-tone-alarm-soft)', '--alert-color': 'var(--hf-tone-alarm)' },
};

export const theme = createTheme({
  primaryColor: 'kelp',
  primaryShade: 6,
  colors: { kelp, dark, gray, red },
  // Devanagari comes from the system: no download, and the letters that its readers are used to.
  fontFamily: "'Inter Variable', system-ui, 'Noto Sans Devanagari', 'Nirmala UI', 'Kohinoor Devanagari', sans-serif",
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, monospace',
  headings: {
    fontFamily: "'Source Serif 4 Variable', Georgia, 'Noto Serif Devanagari', 'Nirmala UI', 'Kohinoor Devanagari', serif",
    fontWeight: '560',
    textWrap: 'balance',
    sizes: { h1: { fontSize: 'clamp(1.625rem, 1.3rem + 1.4vw, 2.125rem)' } },
  },
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  // Without the components' own `extend`, which would bring each of them into the first load.
  components: {
    Alert: {
      // Mantine's own yellow and red are too pale for words.
      vars: (_: unknown, { color }: AlertProps) => ({ root: TONES[color ?? ''] ?? {} }),
    },
    // Its place for the first focus is no child that a menu may have.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
    // The list itself scrolls, as the arrow keys expect; a frame around it could not have the focus.
    Select: {
      defaultProps: { withScrollArea: false },
      styles: { options: { maxHeight: 220, overflowY: 'auto' } },
    },
    Modal: {
      // When a dialog opens, the words are there.
      defaultProps: (): Partial<ModalProps> => ({
        centered: true,
        radius: 'lg',
        padding: 'lg',
        transitionProps: { duration: 120 },
        closeButtonProps: { 'aria-label': t('action.close') },
        // Mantine cannot know what opened a dialog that is mounted open. Actions returns the focus.
        returnFocus: false,
      }),
      classNames: { content: 'hf-modal', header: 'hf-modal', title: 'hf-modal-title' },
    },
  },
});

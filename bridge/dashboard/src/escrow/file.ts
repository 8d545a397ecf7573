/** What may be attached in a dispute, judged before it is sent. The server judges again, by the bytes. */
import { t } from '../words';

export const FILE_MAX_BYTES = 10 * 1024 * 1024;
export const FILES_MAX = 10;
export const FILE_TYPES = ['image/png', 'image/jpeg', 'image/webp', 'application/pdf'];

const NAME_MAX = 200;

/** Why a file cannot be attached; empty if it can. */
export function fileProblem({ size, type }: Pick<File, 'size' | 'type'>): string {
  if (!FILE_TYPES.includes(type)) return t('dispute.problem.type');
  if (size === 0) return t('dispute.problem.empty');
  return size > FILE_MAX_BYTES ? t('dispute.problem.tooLarge', { size: sizeWords(size) }) : '';
}

/** `3.4 MB`, `12 KB`. */
export function sizeWords(bytes: number): string {
  const isLarge = bytes >= 1024 * 1024;
  const count = bytes / (isLarge ? 1024 * 1024 : 1024);
  const shown = Math.max(count, 1).toFixed(isLarge && count < 100 ? 1 : 0);
  return t(isLarge ? 'dispute.megabytes' : 'dispute.kilobytes', { size: shown });
}

/** The name to send: no longer than the server takes, with its ending. */
export function fileName(name: string): string {
  const letters = Array.from(name);
  return letters.length <= NAME_MAX
    ? name
    : [...letters.slice(0, NAME_MAX - 10), ...letters.slice(-10)].join('');
}

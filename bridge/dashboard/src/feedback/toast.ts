/** What has just happened, in words. A toast goes by itself, so that nothing may stand in it alone. */

/** How long a toast stays, unless it is closed or the pointer is on it. */
export const TOAST_MS = 7_000;
/** More would cover the page; the oldest goes first. */
const TOASTS_MAX = 3;

export interface Toast {
  id: number;
  text: string;
}

let toasts: Toast[] = [];
let made = 0;
const listeners = new Set<() => void>();

export function toast(text: string): void {
  made += 1;
  change([...toasts, { id: made, text }].slice(-TOASTS_MAX));
}

export function dismiss(id: number): void {
  change(toasts.filter((one) => one.id !== id));
}

export function shownToasts(): Toast[] {
  return toasts;
}

export function onToasts(callback: () => void): () => void {
  listeners.add(callback);
  return () => void listeners.delete(callback);
}

function change(next: Toast[]): void {
  toasts = next;
  for (const callback of [...listeners]) callback();
}

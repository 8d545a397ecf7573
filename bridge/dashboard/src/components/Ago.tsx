import { useSyncExternalStore } from 'react';
import { ago } from '../escrow/time';

const EVERY_MS = 20_000;

/** A time such as `5 minutes ago`, which updates itself. */
export function Ago({ time }: { time: string }) {
  return useSyncExternalStore(everySoOften, () => ago(time));
}

function everySoOften(callback: () => void): () => void {
  const timer = setInterval(callback, EVERY_MS);
  return () => clearInterval(timer);
}

import { useEffect, useState } from 'react';
import { useCompared } from '../hooks/useWebSocket';

/** Catching up takes less than this if the server is there. */
export const CATCHING_UP_MS = 400;

/** Whether what is shown of an escrow, or of `*`, has not been compared with the server for a while. */
export function useStale(escrowId: string): boolean {
  return useLasting(!useCompared(escrowId), CATCHING_UP_MS);
}

/** Whether something has been so for a while. What is over sooner need not be told. */
export function useLasting(isSo: boolean, while_ms: number): boolean {
  const [hasLasted, setHasLasted] = useState(false);
  useEffect(() => {
    if (!isSo) return undefined;
    const timer = setTimeout(() => setHasLasted(true), while_ms);
    return () => {
      clearTimeout(timer);
      setHasLasted(false);
    };
  }, [isSo, while_ms]);
  return isSo && hasLasted;
}

import { EVERYTHING, wsService } from '../services/websocket';

/** How long a list waits for the answer to `*` before it is fetched. */
const COMPARED_LIMIT_MS = 500;

/**
 * Waits until `*` is answered, but not for long: what is fetched after that is either current, or its
 * change is told.
 */
export function comparedSoon(): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!wsService.isCompared(EVERYTHING)) return;
      clearTimeout(limit);
      stop();
      resolve();
    };
    const stop = wsService.onStatus(look);
    const limit = setTimeout(() => {
      stop();
      resolve();
    }, COMPARED_LIMIT_MS);
    look();
  });
}

import type { RefreshToken } from './renewal.js';

export interface ServiceOptions {
  /** The socket's address. By default made from VITE_API_URL or the page's origin. */
  address: string | undefined;
  /** The number of quick attempts to reconnect after a loss. */
  maxAttempts: number;
  /** The time between two of them, at random up to a quarter more or less. */
  intervalMs: number;
  /** The time between two attempts after those, while the page is visible. Infinity for none. */
  slowIntervalMs: number;
  /** How long a ping may stay unanswered before the connection counts as lost. */
  silenceMs: number;
  /** How long one call of `refreshToken`, or the bridge's word on its token, may take. */
  refreshMs: number;
  /** Called when the token is about to expire, or was refused. */
  refreshToken: RefreshToken | undefined;
}

export const DEFAULTS: ServiceOptions = {
  address: undefined,
  maxAttempts: 5,
  intervalMs: 3_000,
  slowIntervalMs: 30_000,
  silenceMs: 10_000,
  refreshMs: 10_000,
  refreshToken: undefined,
};

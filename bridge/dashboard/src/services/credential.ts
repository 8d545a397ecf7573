/** The token in use, when it expires, and its renewal, one at a time. */

/** Gets a fresh token for the same user. */
export type RefreshToken = () => Promise<string>;

/** A token that expires within this time is renewed before it is used. */
const EXPIRY_MARGIN_S = 5;

export class Credential {
  #token: string | null = null;
  #expiresAt_s = Infinity;
  #renewal: Promise<string | null> | null = null;

  get token(): string | null {
    return this.#token;
  }

  /** Whether the token has expired, or is about to. */
  get isStale(): boolean {
    return Date.now() / 1000 > this.#expiresAt_s - EXPIRY_MARGIN_S;
  }

  set(token: string | null): void {
    this.#token = token;
    this.#expiresAt_s = Infinity;
  }

  /** Notes when the token expires, as the server says: seconds since the epoch. */
  lasts(until_s: number): void {
    this.#expiresAt_s = until_s;
  }

  /** Renews the token; null if it was replaced meanwhile. Throws what `refreshToken` throws. */
  renew(refreshToken: RefreshToken): Promise<string | null> {
    this.#renewal ??= this.#renew(refreshToken).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #renew(refreshToken: RefreshToken): Promise<string | null> {
    const old = this.#token;
    const token = await refreshToken();
    if (old === null || this.#token !== old) return null;
    this.set(token);
    return token;
  }
}

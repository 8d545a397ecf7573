/**
 * The token in use and its renewal: does what the table of standing.ts says.
 *
 * A fresh token is only a candidate until the bridge has taken it. Every try has a limit, and what
 * comes after it still counts, so that nothing that never settles can hold the client.
 */
import { claimsOf } from './claims.js';
import { serverClock } from './clock.js';
import { step, type Cause, type Deed, type Standing } from './standing.js';

/**
 * Gets a fresh token for the same user. If it rejects with an error whose `status` is 401 or 403, the
 * session is over; after any other error, and after `refreshMs` without an answer, it is called again.
 */
export type RefreshToken = () => Promise<string>;

/** A token that expires within this time is renewed before a connection is opened with it. */
const MARGIN_S = 5;
/** How long a token has to be good that was got because the bridge had refused the one before. */
const PROOF_MS = 30_000;

export interface RenewalOwner {
  /**
   * Gets a fresh token. The signal says that nobody waits for it any more; `isBarred`, that the bridge
   * has refused the one in use before its time.
   */
  fetch(signal: AbortSignal, isBarred: boolean): Promise<string>;
  readonly canFetch: boolean;
  readonly limitMs: number;
  /** A try failed; `isFinal` says that there will be no other. */
  failed(why: string, isFinal: boolean): void;
  /** Plans the next try, which begins with `resume`. */
  rest(): void;
  offer(token: string): void;
  offerLater(): void;
  /** Opens a connection with `tokenToOpen`. */
  open(): void;
  end(): void;
}

export class Renewal {
  readonly #owner: RenewalOwner;
  #standing: Standing = 'calm';
  #token: string | null = null;
  #fresh: string | null = null;
  #expiresAt_s = Infinity;
  /** Whether the bridge has refused the token in use before its time. */
  #isBarred = false;
  #try: AbortController | null = null;
  #proof: ReturnType<typeof setTimeout> | undefined;

  constructor(owner: RenewalOwner) {
    this.#owner = owner;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** The token in use: the newest that the bridge has taken, or the one of the login. */
  get token(): string | null {
    return this.#token;
  }

  /** The token that waits for the bridge's word. */
  get fresh(): string | null {
    return this.#fresh;
  }

  /** Whether the next connection is opened with the fresh token. */
  get opensFresh(): boolean {
    return this.#standing === 'returning' && this.#fresh !== null;
  }

  get tokenToOpen(): string | null {
    return this.opensFresh ? this.#fresh : this.#token;
  }

  /** Whether the time of the token in use is over or almost over, by the server's clock. */
  get isStale(): boolean {
    const now_s = serverClock.now_s();
    return now_s !== null && now_s > this.#expiresAt_s - MARGIN_S;
  }

  /** Whether a connection has to wait until there is a fresh token. */
  get isSeeking(): boolean {
    return this.#standing === 'seeking' || this.#standing === 'pausing';
  }

  /** Starts over with the token of a login, or with none. */
  begin(token: string | null): void {
    this.#abandon();
    clearTimeout(this.#proof);
    this.#standing = 'calm';
    this.#token = token;
    this.#fresh = null;
    this.#isBarred = false;
    this.#expiresAt_s = Infinity;
  }

  /** Notes when the token in use expires, as the server says: seconds since the epoch. */
  lasts(until_s: number): void {
    this.#expiresAt_s = until_s;
  }

  /** Whether a token that is not good may still be replaced. */
  get canRenew(): boolean {
    return this.#here !== 'spent' && this.#here !== 'ended';
  }

  after(cause: Cause): Standing {
    return step(this.#here, cause)[0];
  }

  fire(cause: Cause): void {
    if (cause === 'barred') this.#isBarred = true;
    const [next, deed] = step(this.#here, cause);
    if (next !== this.#here) this.#standing = next;
    if (deed) this.#do(deed);
  }

  /** Goes on with the next try, if one is planned. */
  resume(): void {
    if (this.#standing === 'resting' || this.#standing === 'pausing') this.fire('due');
  }

  /** Takes a fresh token that another tab has got, if it is of use. */
  hear(token: string): void {
    if (this.#token !== null && this.#problem(token) === '') this.#take(token);
  }

  /** Without a `refreshToken`, and without a fresh token of another tab, there will be no other one. */
  get #here(): Standing {
    const mayRenew = this.#owner.canFetch || this.#fresh !== null || this.#standing === 'ended';
    return mayRenew ? this.#standing : 'spent';
  }

  #do(deed: Deed): void {
    switch (deed) {
      case 'ask':
        return this.#ask();
      case 'rest':
        return this.#owner.rest();
      case 'offer':
        return this.#owner.offer(this.#fresh ?? '');
      case 'offer later':
        return this.#owner.offerLater();
      case 'open':
        return this.#owner.open();
      case 'adopt':
        return this.#adopt();
      case 'forgo':
        this.#fresh = null;
        return this.#owner.rest();
      case 'end':
        this.#abandon();
        this.#fresh = null;
        return this.#owner.end();
    }
  }

  #adopt(): void {
    this.#token = this.#fresh;
    this.#fresh = null;
    this.#isBarred = false;
    this.#abandon();
    clearTimeout(this.#proof);
    if (this.#standing === 'proving') this.#proof = setTimeout(() => this.fire('proven'), PROOF_MS);
  }

  #ask(): void {
    this.#abandon();
    const attempt = (this.#try = new AbortController());
    const inUse = this.#token;
    const limit = setTimeout(
      () => this.#failed(attempt, new Error('No fresh token came in time.')),
      this.#owner.limitMs,
    );
    // From a microtask, so that one that throws at once is like one that rejects.
    void Promise.resolve()
      .then(() => this.#owner.fetch(attempt.signal, this.#isBarred))
      .then(
        (token) => this.#answered(attempt, token, inUse),
        (error: unknown) => this.#failed(attempt, error),
      )
      .finally(() => clearTimeout(limit));
  }

  /** A late answer counts too: a login server may have made the older tokens invalid with it. */
  #answered(attempt: AbortController, token: unknown, inUse: string | null): void {
    if (this.#token === null || this.#token !== inUse) return;
    const problem = this.#problem(token);
    if (problem === '') this.#take(token as string);
    else this.#failed(attempt, new Error(problem));
  }

  #take(token: string): void {
    this.#abandon();
    this.#fresh = token;
    this.fire('fresh');
  }

  #failed(attempt: AbortController, error: unknown): void {
    if (this.#try !== attempt) return;
    this.#abandon();
    const cause = isDenial(error) ? 'denied' : 'failed';
    this.#owner.failed(error instanceof Error ? error.message : String(error), cause === 'denied');
    this.fire(cause);
  }

  /** What is wrong with a token that should replace the one in use; empty if nothing is. */
  #problem(token: unknown): string {
    if (typeof token !== 'string' || token === '') return 'refreshToken brought no token.';
    if (token === this.#token || token === this.#fresh) return 'refreshToken brought a token that is not fresh.';
    const [own, other] = [claimsOf(this.#token ?? ''), claimsOf(token)];
    if (!own || !other) return ''; // Only the bridge can read them.
    if (own.sub !== other.sub) return 'refreshToken brought the token of another user.';
    // Of a refused token it does not matter how long it would have lasted.
    return other.exp <= own.exp && !this.#isBarred ? 'refreshToken brought an older token.' : '';
  }

  #abandon(): void {
    this.#try?.abort();
    this.#try = null;
  }
}

function isDenial(error: unknown): boolean {
  const { status, response } = (error ?? {}) as { status?: unknown; response?: { status?: unknown } };
  return [status, response?.status].some((one) => one === 401 || one === 403);
}

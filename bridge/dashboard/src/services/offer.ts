/** Offers a fresh token to the bridge on an open connection, and hears what it says of it. */
import type { AuthenticatedFrame, ClientFrame, ErrorFrame } from './frames.js';
import type { Cause } from './standing.js';

export class Offer {
  readonly #send: (frame: ClientFrame) => void;
  readonly #answer: (answer: Cause) => void;
  /** The `id` of the `auth` that waits for an answer. */
  #waiting: string | null = null;
  #made = 0;
  #limit: ReturnType<typeof setTimeout> | undefined;

  /** Calls `answer` with `accepted`, `refused` or `busy`, once for each offer that is not forgotten. */
  constructor(send: (frame: ClientFrame) => void, answer: (answer: Cause) => void) {
    this.#send = send;
    this.#answer = answer;
  }

  /** Offers a token in place of the one before. No answer within the limit counts as `busy`. */
  make(token: string, limit_ms: number): void {
    this.forget();
    this.#made += 1;
    const id = (this.#waiting = `a${this.#made}`);
    this.#limit = setTimeout(() => this.#settle('busy'), limit_ms);
    this.#send({ type: 'auth', token, id });
  }

  /** Answers whether the frame is about the token that is offered, or about one of which nobody asked. */
  taken(frame: AuthenticatedFrame): boolean {
    if (frame.id !== undefined && frame.id !== this.#waiting) return false;
    this.#settle('accepted');
    return true;
  }

  failed(frame: ErrorFrame): void {
    if (this.#waiting === null || frame.id !== this.#waiting) return;
    this.#settle(frame.retry ? 'busy' : 'refused');
  }

  forget(): void {
    this.#waiting = null;
    clearTimeout(this.#limit);
  }

  #settle(answer: Cause): void {
    this.forget();
    this.#answer(answer);
  }
}

/** When to try again after a loss, and when to give it up. Opens nothing itself. */

/** How much more or less than the interval an attempt may wait, so that not all come at once. */
const JITTER = 0.25;

/** 4400 bad use, 4401 token refused or expired, 4402, 4403 forbidden: coming back would not help. */
export function isFinal(code: number): boolean {
  return code >= 4400 && code <= 4403;
}

/** An interval with its jitter, in milliseconds. */
export function about(interval_ms: number): number {
  return interval_ms * (1 + JITTER * (2 * Math.random() - 1));
}

export class Comeback {
  /** How many attempts there have been since the last success. */
  attempts = 0;
  /** When the server asked to be left and come back to; milliseconds since the epoch, 0 for never. */
  #slot_ms = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Whether the time is yet to come that the server has named. */
  get isAwaitingSlot(): boolean {
    return this.#slot_ms > Date.now();
  }

  /** Begins anew: nothing is planned, and no attempt is counted. */
  reset(): void {
    this.attempts = 0;
    this.#slot_ms = 0;
    this.cancel();
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }

  /** The server is about to go: `leave` is called when the slot comes, unless it is cancelled first. */
  leaveAfter(after_ms: number, leave: () => void): void {
    this.cancel();
    this.#slot_ms = Date.now() + after_ms;
    this.#timer = setTimeout(leave, after_ms);
  }

  /** Plans the next attempt, at the server's slot or after about the interval; answers the delay. */
  plan(interval_ms: number, attempt: () => void): number {
    this.cancel();
    this.attempts += 1;
    const isAsked = this.#slot_ms > 0;
    const delay_ms = isAsked ? Math.max(0, this.#slot_ms - Date.now()) : about(interval_ms);
    this.#timer = setTimeout(() => {
      this.#slot_ms = 0;
      attempt();
    }, delay_ms);
    return delay_ms;
  }
}

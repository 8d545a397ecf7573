/**
 * Plans when to reconnect after a loss, and says when not to. Opens no connection itself.
 *
 * A *comeback* is the series of attempts between a loss and the next success.
 */
import { ticks } from './clock.js';

/** An attempt waits up to this much more or less than the interval, so that not all come at once. */
const JITTER = 0.25;
/** A slot that is further away than this is not believed. */
const SLOT_MAX_MS = 60_000;

/** With this code the bridge refuses a token. */
export const TOKEN_REFUSED = 4401;

/** Whether a close code is final. After 4400 to 4403 a reconnect with the same token would not help. */
export function isFinal(code: number): boolean {
  return code >= 4400 && code <= 4403;
}

/** An interval with its jitter, in milliseconds. */
export function about(interval_ms: number): number {
  return interval_ms * (1 + JITTER * (2 * Math.random() - 1));
}

export class Comeback {
  /** The number of attempts since the last success. */
  attempts = 0;
  /** When the server asked this page to reconnect, in ticks; 0 for never. */
  #slot = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Whether the server has named a time that is still to come. */
  get isAwaitingSlot(): boolean {
    return this.#slot > ticks();
  }

  /** Starts over: cancels the planned attempt and sets the count to 0. */
  reset(): void {
    this.attempts = 0;
    this.#slot = 0;
    this.cancel();
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }

  /** Notes that the server is about to shut down. Calls `leave` when the slot comes, unless cancelled. */
  leaveAfter(after_ms: number, leave: () => void): void {
    this.cancel();
    const wait_ms = Math.min(Math.max(after_ms || 0, 0), SLOT_MAX_MS);
    this.#slot = ticks() + wait_ms;
    this.#timer = setTimeout(leave, wait_ms);
  }

  /** Plans the next attempt: at the server's slot, or after about the interval. Answers the delay. */
  plan(interval_ms: number, attempt: () => void): number {
    this.cancel();
    this.attempts += 1;
    const isAsked = this.#slot > 0;
    const delay_ms = isAsked ? Math.max(0, this.#slot - ticks()) : about(interval_ms);
    this.#timer = setTimeout(() => {
      this.#slot = 0;
      attempt();
    }, delay_ms);
    return delay_ms;
  }
}

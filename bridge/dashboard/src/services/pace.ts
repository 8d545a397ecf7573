/**
 * Keeps a client under the bridge's limit of 20 frames a second (burst 40), so that a reconnect with
 * many subscriptions does not end in RATE_LIMITED.
 */
const BURST_FRAMES = 30;
const FRAMES_PER_S = 15;

/** The most frames that may wait. 200 subscriptions are allowed, so more than this is a bug. */
const WAITING_MAX = 1_000;

export class Pace<T> {
  readonly #send: (frame: T) => void;
  readonly #waiting: T[] = [];
  #allowance = BURST_FRAMES;
  #updated = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: (frame: T) => void) {
    this.#send = send;
  }

  /** Sends a frame now, or in its turn as soon as the limit allows. Throws RangeError if too many wait. */
  push(frame: T): void {
    if (this.#waiting.length >= WAITING_MAX) throw new RangeError('Too many frames are waiting.');
    this.#waiting.push(frame);
    this.#flush();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
  }

  #flush(): void {
    const now = performance.now();
    const earned = ((now - this.#updated) / 1000) * FRAMES_PER_S;
    this.#allowance = Math.min(BURST_FRAMES, this.#allowance + earned);
    this.#updated = now;
    while (this.#waiting.length > 0 && this.#allowance >= 1) {
      this.#allowance -= 1;
      this.#send(this.#waiting.shift() as T);
    }
    clearTimeout(this.#timer);
    if (this.#waiting.length > 0) {
      const wait_ms = ((1 - this.#allowance) / FRAMES_PER_S) * 1000;
      this.#timer = setTimeout(() => this.#flush(), Math.ceil(wait_ms));
    }
  }
}

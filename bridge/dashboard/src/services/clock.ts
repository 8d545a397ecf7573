/**
 * The server's time, and a clock that nobody can set back.
 *
 * The device's own clock may be hours wrong, and may be set while the page waits. So waits are
 * measured in ticks, and whether a token has expired is judged by the time that came with `connected`.
 */

/** Milliseconds since some beginning. They only grow; in a sleeping device they may stand still. */
export function ticks(): number {
  return performance.now();
}

export class ServerClock {
  /** What to add to the ticks; null before the server has said its time. */
  #base_ms: number | null = null;

  /** Notes the server's time: seconds since the epoch. */
  set(time_s: number | undefined): void {
    if (typeof time_s === 'number' && Number.isFinite(time_s)) this.#base_ms = time_s * 1000 - ticks();
  }

  /** The server's time in seconds since the epoch; null before the server has said it. */
  now_s(): number | null {
    return this.#base_ms === null ? null : (this.#base_ms + ticks()) / 1000;
  }
}

/** The clock of the server that this page talks to. */
export const serverClock = new ServerClock();

/** To show times by: the server's time, or the device's before that is known. In milliseconds. */
export function now_ms(): number {
  const now_s = serverClock.now_s();
  return now_s === null ? Date.now() : now_s * 1000;
}

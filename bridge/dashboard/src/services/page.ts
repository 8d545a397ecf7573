/** The browser's events that matter to the connection. Outside a browser there are none. */
export class PageEvents {
  readonly #onWake: () => void;
  readonly #onShown: () => void;
  readonly #onOffline: () => void;

  /** Calls `onWake` when the page becomes visible, wakes up, or the network is back, hidden or not. */
  constructor(onWake: () => void, onOffline: () => void) {
    this.#onWake = onWake;
    this.#onShown = () => {
      if (this.isVisible) onWake();
    };
    this.#onOffline = onOffline;
  }

  /** Whether somebody may look at it. */
  get isVisible(): boolean {
    return hasPage() && document.visibilityState !== 'hidden';
  }

  /** Starts listening. `start` and `stop` may be repeated. */
  start(): void {
    this.#change('addEventListener');
  }

  stop(): void {
    this.#change('removeEventListener');
  }

  #change(change: 'addEventListener' | 'removeEventListener'): void {
    if (!hasPage()) return;
    window[change]('online', this.#onWake);
    window[change]('offline', this.#onOffline);
    // `pageshow` comes when the browser takes a page out of its cache, `resume` when it was frozen.
    window[change]('pageshow', this.#onShown);
    document[change]('resume', this.#onShown);
    document[change]('visibilitychange', this.#onShown);
  }
}

/** Whether there is a page, which can be shown again. */
export function hasPage(): boolean {
  return typeof window !== 'undefined' && typeof document !== 'undefined';
}

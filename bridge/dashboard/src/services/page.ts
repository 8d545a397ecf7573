/** The browser's events that matter to the connection. Outside a browser there are none. */
export class PageEvents {
  readonly #onWake: () => void;
  readonly #onOffline: () => void;

  /** Calls `onWake` when the page becomes visible or the network is back. */
  constructor(onWake: () => void, onOffline: () => void) {
    this.#onWake = () => {
      if (document.visibilityState !== 'hidden') onWake();
    };
    this.#onOffline = onOffline;
  }

  /** Starts listening. `start` and `stop` may be repeated. */
  start(): void {
    this.#change('addEventListener');
  }

  stop(): void {
    this.#change('removeEventListener');
  }

  #change(change: 'addEventListener' | 'removeEventListener'): void {
    if (typeof window === 'undefined' || typeof document === 'undefined') return;
    window[change]('online', this.#onWake);
    window[change]('offline', this.#onOffline);
    document[change]('visibilitychange', this.#onWake);
  }
}

/** What the page hears that matters to its connection. Where there is no page, nothing. */
export class PageEvents {
  readonly #onWake: () => void;
  readonly #onOffline: () => void;

  /** `onWake` is for a page that is looked at or has its network back. */
  constructor(onWake: () => void, onOffline: () => void) {
    this.#onWake = () => {
      if (document.visibilityState !== 'hidden') onWake();
    };
    this.#onOffline = onOffline;
  }

  /** Repeating it is harmless, as it is for `stop`. */
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

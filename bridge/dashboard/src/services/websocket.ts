/**
 * Live updates from the bridge: one connection for the page, which reconnects by itself.
 *
 * `connect(token)` opens it and keeps it open until `disconnect()`. After a loss it tries to reconnect
 * up to five times, three seconds apart. The count starts over after a success, when the page becomes
 * visible, and when the network is back. Every subscription resumes after the last version seen, so
 * that no event is missed and none comes twice.
 */
import { socketAddress } from './address.js';
import { about, Comeback, isFinal } from './comeback.js';
import { Connection } from './connection.js';
import { Credential, type RefreshToken } from './credential.js';
import type { ErrorFrame, EventFrame, ServerFrame } from './frames.js';
import { Listeners, type Handler, type MessageType } from './listeners.js';
import { PageEvents } from './page.js';
import { EVERYTHING, Subscriptions, type Subscription } from './subscriptions.js';

export type * from './frames.js';
export type * from './listeners.js';
export type { RefreshToken } from './credential.js';
export { EVERYTHING } from './subscriptions.js';

export type ConnectionStatus = 'disconnected' | 'connecting' | 'connected' | 'reconnecting';

export interface ServiceOptions {
  /** The socket's address. By default made from VITE_API_URL or the page's origin. */
  address: string | undefined;
  /** The number of attempts to reconnect after a loss. */
  maxAttempts: number;
  /** The time between two attempts, at random up to a quarter more or less. */
  intervalMs: number;
  /** How long a ping may stay unanswered before the connection counts as lost. */
  silenceMs: number;
  /** Called when the token is about to expire. */
  refreshToken: RefreshToken | undefined;
}

const MAX_ATTEMPTS = 5;
const INTERVAL_MS = 3_000;
const SILENCE_MS = 10_000;
/** How long an unused subscription is kept, so that a remount finds it. */
const LINGER_MS = 100;
export class WebSocketService {
  readonly #listeners = new Listeners();
  readonly #statusListeners = new Set<() => void>();
  readonly #subscriptions = new Subscriptions();
  readonly #comeback = new Comeback();
  readonly #credential = new Credential();
  readonly #page = new PageEvents(
    () => this.#wake(),
    () => this.#connection?.drop('The network is off.'),
  );
  #options: ServiceOptions = {
    address: undefined,
    maxAttempts: MAX_ATTEMPTS,
    intervalMs: INTERVAL_MS,
    silenceMs: SILENCE_MS,
    refreshToken: undefined,
  };
  #status: ConnectionStatus = 'disconnected';
  /** What the newest `live` frame of this connection said; true before the first. */
  #isLive = true;
  #connection: Connection | null = null;
  /** Whether the last close code was final, so that a reconnect would not help. */
  #isBarred = false;
  #requests = 0;

  /** Changes settings, from the next attempt on. */
  configure(options: Partial<ServiceOptions>): void {
    this.#options = { ...this.#options, ...options };
  }

  /** The browser's own socket, or null; `ws?.readyState` is 1 while it is open. */
  get ws(): WebSocket | null {
    return this.#connection?.ws ?? null;
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  /** Whether events arrive: the page is connected, and the server says that it gets them. */
  get isLive(): boolean {
    return this.#status === 'connected' && this.#isLive;
  }

  /** The token in use: the newest, if it was refreshed. */
  get token(): string | null {
    return this.#credential.token;
  }

  /** The ids of the escrows that are subscribed to, and `*`. */
  get subscriptions(): ReadonlySet<string> {
    return this.#subscriptions.wanted();
  }

  /**
   * Connects as the token's user. Does nothing if it is connected with the same token. Throws TypeError
   * if `VITE_API_URL` cannot be used.
   */
  readonly connect = (token: string): void => {
    if (this.#options.address === undefined) socketAddress();
    if (token === this.token && this.#status !== 'disconnected') return;
    if (this.token !== null && token !== this.token) this.#subscriptions.forgetVersions();
    this.#credential.set(token);
    this.#page.start();
    this.reconnect();
  };

  /** Closes the connection and forgets the token. Subscriptions stay, for the next `connect`. */
  readonly disconnect = (): void => {
    const wasOn = this.token !== null;
    this.#page.stop();
    this.#credential.set(null);
    this.#leave();
    this.#subscriptions.forgetVersions();
    if (!wasOn) return;
    this.#setStatus('disconnected');
    this.#tellDisconnected(1000, 'This page closed the connection.', false);
  };

  /** Tries to connect now and counts the attempts anew, for example when the user asks for it. */
  readonly reconnect = (): void => {
    if (this.token === null) return;
    this.#isBarred = false;
    this.#leave();
    this.#comeback.reset();
    this.#setStatus('connecting');
    this.#open();
  };

  /**
   * Subscribes to an escrow, or with `*` to all escrows of the user. Match each call with one
   * `unsubscribe`, or call the function that it answers. Only the first call and the last
   * unsubscribe send a frame.
   */
  readonly subscribe = (escrowId: string): (() => void) => {
    const subscription = this.#subscriptions.add(escrowId);
    if (subscription.request === null || subscription.isRefused) this.#ask(subscription);
    let isUndone = false;
    return () => {
      if (!isUndone) this.unsubscribe(escrowId);
      isUndone = true;
    };
  };

  readonly unsubscribe = (escrowId: string): void => {
    const subscription = this.#subscriptions.get(escrowId);
    if (!subscription || subscription.wanted === 0) return;
    subscription.wanted -= 1;
    if (subscription.wanted === 0) setTimeout(() => this.#release(subscription), LINGER_MS);
  };

  /** Sends a ping; `pong` answers. */
  readonly ping = (): void => {
    this.#connection?.probe();
  };

  /** Calls the handler for every message of a type, synchronously and in order; answers its undo. */
  readonly on = <T extends MessageType>(type: T, handler: Handler<T>): (() => void) =>
    this.#listeners.add(type, handler);

  /** Calls back after every change of `status` or `isLive`; answers its undo. */
  readonly onStatus = (callback: () => void): (() => void) => {
    this.#statusListeners.add(callback);
    return () => void this.#statusListeners.delete(callback);
  };

  #onFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'connected':
        this.#connected(frame.expires_at);
        break;
      case 'live':
        this.#setLive(frame.live);
        break;
      case 'authenticated':
        this.#credential.lasts(frame.expires_at);
        break;
      case 'reconnect':
        this.#comeback.leaveAfter(frame.after_ms, () => {
          this.#connection?.drop('the server asked to reconnect');
        });
        break;
      case 'error':
        this.#failed(frame);
        break;
      case 'subscribed':
        if (!this.#subscriptions.takesSnapshot(frame)) return;
        break;
      case 'payment_status':
      case 'status_change':
      case 'escrow_update':
        if (!this.#takesEvent(frame)) return;
        break;
    }
    this.#listeners.emit(frame);
    if (frame.type === 'connected') this.#askAll();
  }

  #onEnd(code: number, reason: string): void {
    const before = this.#status;
    this.#connection = null;
    this.#subscriptions.unask();
    this.#comeback.cancel();
    this.#isBarred = isFinal(code);
    const isSpent = this.#comeback.attempts >= this.#options.maxAttempts;
    const willReconnect = !this.#isBarred && !isSpent;
    this.#setStatus(willReconnect ? 'reconnecting' : 'disconnected');
    if (before !== 'connected' && !this.#isBarred) {
      this.#tellError('CONNECTION_FAILED', reason || 'The server cannot be reached.');
    }
    if (before !== 'reconnecting' || !willReconnect) {
      this.#tellDisconnected(code, reason, willReconnect);
    }
    // A handler may have called `disconnect` or `connect`.
    if (willReconnect && this.#status === 'reconnecting') this.#tryLater();
  }

  #connected(expiresAt_s: number): void {
    this.#comeback.reset();
    this.#credential.lasts(expiresAt_s);
    this.#isLive = true;
    this.#setStatus('connected');
  }

  #takesEvent(frame: EventFrame): boolean {
    // An unused subscription would note this event as seen, and its next user would miss it. End it now.
    for (const id of [frame.escrow_id, EVERYTHING]) {
      const subscription = this.#subscriptions.get(id);
      if (subscription?.wanted === 0) this.#release(subscription);
    }
    return this.#subscriptions.takesEvent(frame);
  }

  #failed(frame: ErrorFrame): void {
    if (frame.code === 'TOKEN_EXPIRING') void this.#refresh();
    const subscription = this.#subscriptions.answered(frame.id, frame.escrow_id);
    if (!subscription) return;
    subscription.isPending = false;
    subscription.isRefused = true;
    if (frame.retry) setTimeout(() => this.#askAgain(subscription), about(this.#options.intervalMs));
  }

  #askAgain(subscription: Subscription): void {
    if (subscription.isRefused && subscription.wanted > 0) this.#ask(subscription);
  }

  #askAll(): void {
    const ids = [...this.#subscriptions.wanted()];
    // Subscriptions to single escrows go first: they bring the missed events in order.
    ids.sort((a, b) => Number(a === EVERYTHING) - Number(b === EVERYTHING));
    for (const id of ids) {
      const subscription = this.#subscriptions.get(id);
      if (subscription && subscription.request === null) this.#ask(subscription);
    }
  }

  #ask(subscription: Subscription): void {
    if (this.#status !== 'connected' || !this.#connection) return;
    this.#requests += 1;
    const id = `s${this.#requests}`;
    const after = this.#subscriptions.ask(subscription, id);
    const frame = { type: 'subscribe' as const, escrow_id: subscription.escrowId, id };
    this.#connection.send(after === undefined ? frame : { ...frame, after });
  }

  #release(subscription: Subscription): void {
    const current = this.#subscriptions.get(subscription.escrowId);
    if (current !== subscription || subscription.wanted > 0) return;
    this.#subscriptions.drop(subscription.escrowId);
    if (subscription.request === null) return;
    this.#connection?.send({ type: 'unsubscribe', escrow_id: subscription.escrowId });
  }

  async #refresh(): Promise<void> {
    const { refreshToken } = this.#options;
    if (!refreshToken) return;
    try {
      const token = await this.#credential.renew(refreshToken);
      if (token !== null) this.#connection?.send({ type: 'auth', token });
    } catch (error) {
      this.#tellError('TOKEN_REFRESH_FAILED', String(error));
    }
  }

  #open(): void {
    if (!this.#credential.isStale || !this.#options.refreshToken) return this.#openNow();
    void this.#refresh().then(() => this.#openNow());
  }

  #openNow(): void {
    const { token } = this;
    if (token === null || this.#connection) return;
    const { address = socketAddress(), silenceMs } = this.#options;
    try {
      this.#connection = new Connection(address, token, silenceMs, {
        onFrame: (frame) => this.#onFrame(frame),
        onEnd: (code, reason) => this.#onEnd(code, reason),
      });
    } catch (error) {
      // The browser throws before it connects if the address or the token cannot be used at all.
      this.#onEnd(4400, String(error));
    }
  }

  #leave(): void {
    this.#comeback.cancel();
    this.#connection?.close();
    this.#connection = null;
    this.#subscriptions.unask();
  }

  #tryLater(): void {
    const { intervalMs, maxAttempts } = this.#options;
    const delay_ms = this.#comeback.plan(intervalMs, () => this.#open());
    this.#listeners.emit({
      type: 'reconnecting',
      attempt: this.#comeback.attempts,
      max_attempts: maxAttempts,
      delay_ms: Math.round(delay_ms),
    });
  }

  #setStatus(status: ConnectionStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#tellStatus();
  }

  #setLive(isLive: boolean): void {
    if (isLive === this.#isLive) return;
    this.#isLive = isLive;
    this.#tellStatus();
  }

  #tellStatus(): void {
    for (const callback of [...this.#statusListeners]) callback();
  }

  #tellDisconnected(code: number, reason: string, will_reconnect: boolean): void {
    this.#listeners.emit({ type: 'disconnected', code, reason, will_reconnect });
  }

  #tellError(code: string, message: string): void {
    this.#listeners.emit({ type: 'error', code, message, retry: true });
  }

  #wake(): void {
    if (this.token === null || this.#isBarred) return;
    if (this.#status === 'connected') this.#connection?.probe();
    else if (!this.#connection && !this.#comeback.isAwaitingSlot) this.reconnect();
  }
}

/** The page's one connection. */
export const wsService = new WebSocketService();

/**
 * Live updates from the bridge: one connection for the page, which reconnects by itself.
 *
 * `connect(token)` opens it and keeps it open until `disconnect()`. After a loss it tries to reconnect
 * five times, three seconds apart, and then slowly while the page is visible. The count starts over
 * after a success, when the page becomes visible, and when the network is back. Every subscription
 * resumes after the last version seen, so that no event is missed and none comes twice.
 */
import { socketAddress } from './address.js';
import { claimsOf } from './claims.js';
import type { ServerFrame, SubscribedFrame } from './frames.js';
import { Listeners, type Handler, type MessageType } from './listeners.js';
import { DEFAULTS, type ServiceOptions } from './options.js';
import { Session, type ConnectionStatus } from './session.js';
import { Subscriber } from './subscriber.js';
import { Tabs } from './tabs.js';

export type * from './frames.js';
export type * from './listeners.js';
export type { ServiceOptions } from './options.js';
export type { RefreshToken } from './renewal.js';
export type { ConnectionStatus } from './session.js';
export { EVERYTHING } from './subscriptions.js';

export class WebSocketService {
  readonly #listeners = new Listeners();
  readonly #statusListeners = new Set<() => void>();
  #options: ServiceOptions = DEFAULTS;
  /** What the newest `live` frame of this connection said; true before the first. */
  #isLive = true;
  readonly #session: Session;
  readonly #subscriber: Subscriber;
  readonly #tabs: Tabs;
  readonly #logoutListeners = new Set<() => void>();

  constructor() {
    const options = () => this.#options;
    this.#session = new Session(
      {
        get options() {
          return options();
        },
        onFrame: (frame) => this.#onFrame(frame),
        onStatus: () => this.#tellStatus(),
        onLost: () => this.#subscriber.lost(),
        tell: (message) => this.#listeners.emit(message),
      },
      (signal, isBarred) => this.#fetch(signal, isBarred),
    );
    const session = this.#session;
    this.#tabs = new Tabs({
      get token() {
        return session.tokenToShare;
      },
      hear: (token) => session.hear(token),
      left: () => this.#left(),
    });
    this.#subscriber = new Subscriber({
      get isConnected() {
        return session.status === 'connected';
      },
      get intervalMs() {
        return options().intervalMs;
      },
      onChange: () => this.#tellStatus(),
      send: (frame) => session.send(frame),
    });
  }

  /** Changes settings, from the next attempt on. */
  configure(options: Partial<ServiceOptions>): void {
    this.#options = { ...this.#options, ...options };
  }

  /** The browser's own socket, or null; `ws?.readyState` is 1 while it is open. */
  get ws(): WebSocket | null {
    return this.#session.ws;
  }

  get status(): ConnectionStatus {
    return this.#session.status;
  }

  /**
   * Whether what is shown is what there is: the page is connected, the server gets events, and all
   * subscriptions have been compared since the connection came back.
   */
  get isLive(): boolean {
    return this.#isServed && this.#subscriber.isCaughtUp;
  }

  /** The same for one subscription: all that was missed has come. */
  readonly isCompared = (escrowId: string): boolean =>
    this.#isServed && this.#subscriber.isCompared(escrowId);

  /** The token in use: the newest that the bridge has taken, if it was refreshed. */
  get token(): string | null {
    return this.#session.token;
  }

  /** The ids of the escrows that are subscribed to, and `*`. */
  get subscriptions(): ReadonlySet<string> {
    return this.#subscriber.wanted();
  }

  /**
   * Connects as the token's user. Does nothing if it is connected with the same token. Another token
   * of the same user resumes every subscription. Throws TypeError if `VITE_API_URL` cannot be used.
   */
  readonly connect = (token: string): void => {
    if (this.#options.address === undefined) socketAddress();
    if (token === this.token && this.status !== 'disconnected') return;
    if (this.token !== null && !isOfSameUser(token, this.token)) this.#subscriber.forget();
    this.#tabs.join(token);
    this.#session.connect(token);
  };

  /** Closes the connection and forgets the token. Subscriptions stay, for the next `connect`. */
  readonly disconnect = (): void => {
    this.#tabs.leave();
    this.#subscriber.forget();
    this.#session.disconnect();
  };

  /** Disconnects, and logs the user out of the browser's other tabs. */
  readonly logout = (): void => {
    this.#tabs.tellLeft();
    this.disconnect();
  };

  /** Calls back when the user has logged out in another tab, after `disconnect`; answers its undo. */
  readonly onLogout = (callback: () => void): (() => void) => {
    this.#logoutListeners.add(callback);
    return () => void this.#logoutListeners.delete(callback);
  };

  /** Tries to connect now and counts the attempts anew, for example when the user asks for it. */
  readonly reconnect = (): void => this.#session.reconnect();

  /**
   * Subscribes to an escrow, or with `*` to all escrows of the user. Match each call with one
   * `unsubscribe`, or call the function that it answers. Only the first call and the last
   * unsubscribe send a frame.
   */
  readonly subscribe = (escrowId: string): (() => void) => {
    this.#subscriber.add(escrowId);
    let isUndone = false;
    return () => {
      if (!isUndone) this.unsubscribe(escrowId);
      isUndone = true;
    };
  };

  /**
   * What is known of an escrow already, for a component that subscribes after others: its last
   * snapshot, if there is one. With `*` all of them while somebody is subscribed to `*`, and then the
   * answer without data. It may be old while there is no connection.
   */
  readonly known = (escrowId: string): SubscribedFrame[] => this.#subscriber.known(escrowId);

  readonly unsubscribe = (escrowId: string): void => this.#subscriber.remove(escrowId);

  /** Sends a ping; `pong` answers. */
  readonly ping = (): void => this.#session.probe();

  /** Calls the handler for every message of a type, synchronously and in order; answers its undo. */
  readonly on = <T extends MessageType>(type: T, handler: Handler<T>): (() => void) =>
    this.#listeners.add(type, handler);

  /** Calls back after every change of `status`, `isLive` or `isCompared`; answers its undo. */
  readonly onStatus = (callback: () => void): (() => void) => {
    this.#statusListeners.add(callback);
    return () => void this.#statusListeners.delete(callback);
  };

  #onFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'connected':
        this.#setLive(true);
        break;
      case 'live':
        this.#setLive(frame.live);
        break;
      case 'error':
        this.#subscriber.refused(frame);
        break;
      case 'subscribed':
        if (!this.#subscriber.takesSnapshot(frame)) return this.#tellStatus();
        frame.is_resumed = this.#subscriber.isResumed(frame.escrow_id);
        break;
      case 'payment_status':
      case 'status_change':
      case 'escrow_update':
        if (!this.#subscriber.takesEvent(frame)) return;
        break;
    }
    this.#listeners.emit(frame);
    if (frame.type === 'connected') this.#subscriber.askAll();
    if (frame.type === 'subscribed' || frame.type === 'error') this.#tellStatus();
  }

  get #isServed(): boolean {
    return this.status === 'connected' && this.#isLive;
  }

  async #fetch(signal: AbortSignal, isBarred: boolean): Promise<string> {
    const { refreshToken, refreshMs } = this.#options;
    if (!refreshToken) throw new Error('There is no refreshToken.');
    const terms = { mayAsk: !isBarred, patience_ms: refreshMs / 2, signal };
    return this.#tabs.renew(this.token, terms, async () => refreshToken());
  }

  #left(): void {
    this.disconnect();
    for (const callback of [...this.#logoutListeners]) callback();
  }

  #setLive(isLive: boolean): void {
    if (isLive === this.#isLive) return;
    this.#isLive = isLive;
    this.#tellStatus();
  }

  #tellStatus(): void {
    for (const callback of [...this.#statusListeners]) callback();
  }
}

function isOfSameUser(one: string, other: string): boolean {
  const user = claimsOf(one)?.sub;
  return user !== undefined && user === claimsOf(other)?.sub;
}

/** The page's one connection. */
export const wsService = new WebSocketService();

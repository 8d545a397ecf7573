/**
 * Keeps a user connected: opens connections one after the other, and renews the token beside them.
 *
 * What may happen to the token is in standing.ts, when the next attempt comes in comeback.ts. This
 * room brings both together with the connection and the page.
 */
import { socketAddress } from './address.js';
import { claimsOf } from './claims.js';
import { serverClock } from './clock.js';
import { about, Comeback, isFinal, TOKEN_REFUSED } from './comeback.js';
import { ABNORMAL, Connection } from './connection.js';
import type { ClientFrame, ConnectedFrame, ErrorFrame, ServerFrame } from './frames.js';
import type { DisconnectedMessage, ReconnectingMessage } from './listeners.js';
import type { ServiceOptions } from './options.js';
import { Offer } from './offer.js';
import { hasPage, PageEvents } from './page.js';
import { Renewal, type RenewalOwner } from './renewal.js';

export type ConnectionStatus = 'disconnected' | 'connecting' | 'connected' | 'reconnecting';

export interface SessionOwner {
  readonly options: ServiceOptions;
  /** A frame came. At `connected` the session is connected already. */
  onFrame(frame: ServerFrame): void;
  onStatus(): void;
  /** The connection is gone, and with it all that was asked for on it. */
  onLost(): void;
  tell(message: DisconnectedMessage | ReconnectingMessage | ErrorFrame): void;
}

export class Session {
  readonly #owner: SessionOwner;
  readonly #comeback = new Comeback();
  readonly #renewal: Renewal;
  readonly #page = new PageEvents(
    () => this.#wake(),
    () => this.#connection?.drop('The network is off.'),
  );
  #status: ConnectionStatus = 'disconnected';
  #connection: Connection | null = null;
  /** Whether the connection was opened with a fresh token that the bridge has not taken yet. */
  #isOnTrial = false;
  /** Whether the last close code was final, so that a reconnect would not help. */
  #isBarred = false;
  /** Whether the bridge itself has refused the token in use since the last success. */
  #isRefused = false;
  /** What the bridge said when it refused a token. */
  #why = 'The session is over.';
  readonly #offered: Offer;
  #later: ReturnType<typeof setTimeout> | undefined;

  constructor(owner: SessionOwner, fetch: RenewalOwner['fetch']) {
    this.#owner = owner;
    this.#renewal = new Renewal(this.#renewalOwner(fetch));
    this.#offered = new Offer(
      (frame) => this.#connection?.send(frame),
      (answer) => this.#renewal.fire(answer),
    );
  }

  get ws(): WebSocket | null {
    return this.#connection?.ws ?? null;
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  get token(): string | null {
    return this.#renewal.token;
  }

  /** The token to give to another tab: null unless it is good as far as anybody knows. */
  get tokenToShare(): string | null {
    return this.#status === 'disconnected' || this.#renewal.isSeeking ? null : this.#renewal.tokenToOpen;
  }

  /** The user of the token in use, as it says; null without one that can be read. */
  get userId(): string | null {
    return claimsOf(this.token ?? '')?.sub ?? null;
  }

  connect(token: string): void {
    this.#renewal.begin(token);
    this.#page.start();
    this.reconnect();
  }

  disconnect(): void {
    const wasOn = this.token !== null;
    this.#page.stop();
    this.#renewal.begin(null);
    this.#leave();
    if (!wasOn) return;
    this.#setStatus('disconnected');
    this.#tellDisconnected(1000, 'This page closed the connection.', false);
  }

  /** Tries to connect now, whatever it is waiting for, and counts the attempts anew. */
  reconnect(): void {
    if (this.token === null) return this.#tellError('NO_TOKEN', 'There is no token to connect with.');
    this.#isBarred = this.#isRefused = false;
    this.#leave();
    this.#comeback.reset();
    this.#setStatus('connecting');
    this.#renewal.fire('again');
    this.#open();
  }

  send(frame: ClientFrame): void {
    this.#connection?.send(frame);
  }

  probe(): void {
    this.#connection?.probe();
  }

  /** Takes a fresh token that another tab has got. */
  hear(token: string): void {
    this.#renewal.hear(token);
  }

  #renewalOwner(fetch: RenewalOwner['fetch']): RenewalOwner {
    const options = () => this.#owner.options;
    return {
      fetch,
      get canFetch() {
        return options().refreshToken !== undefined;
      },
      get limitMs() {
        return options().refreshMs;
      },
      failed: (why, isFinal) => this.#tellError('TOKEN_REFRESH_FAILED', why, !isFinal),
      rest: () => this.#rest(),
      offer: (token) => this.#offer(token),
      offerLater: () => this.#after(() => this.#offer(this.#renewal.fresh)),
      open: () => this.#openFresh(),
      end: () => this.#end(TOKEN_REFUSED, this.#why),
    };
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'connected':
        if (!this.#welcome(frame)) return;
        break;
      case 'authenticated':
        if (this.#offered.taken(frame)) this.#renewal.lasts(frame.expires_at);
        break;
      case 'reconnect':
        this.#comeback.leaveAfter(frame.after_ms, () => {
          this.#connection?.drop('the server asked to reconnect');
        });
        break;
      case 'error':
        this.#hearError(frame);
        break;
    }
    this.#owner.onFrame(frame);
    if (frame.type === 'connected') this.#offer(this.#renewal.fresh);
  }

  /** Whether the connection is the user's. A fresh token that nobody could read may be another's. */
  #welcome(frame: ConnectedFrame): boolean {
    if (this.#isOnTrial && this.userId !== null && frame.user_id !== this.userId) {
      this.#leave();
      this.#lose(TOKEN_REFUSED, 'The fresh token is that of another user.', 'refused');
      return false;
    }
    serverClock.set(frame.time);
    this.#comeback.reset();
    this.#isRefused = false;
    if (this.#isOnTrial) this.#renewal.fire('accepted');
    this.#isOnTrial = false;
    this.#renewal.lasts(frame.expires_at);
    this.#setStatus('connected');
    return true;
  }

  #hearError(frame: ErrorFrame): void {
    if (frame.code === 'TOKEN_EXPIRING') this.#renewal.fire('due');
    this.#offered.failed(frame);
  }

  #onEnd(code: number, reason: string): void {
    const wasOnTrial = this.#isOnTrial;
    this.#drop();
    if (code !== TOKEN_REFUSED) return this.#failed(code, reason);
    this.#isRefused = true;
    if (wasOnTrial) return this.#lose(code, reason, 'refused');
    this.#lose(code, reason, this.#renewal.isStale ? 'over' : 'barred');
  }

  /** The bridge has refused a token. */
  #lose(code: number, reason: string, cause: 'over' | 'barred' | 'refused'): void {
    this.#why = reason;
    if (this.#renewal.after(cause) === 'ended') {
      this.#renewal.fire(cause);
      return;
    }
    this.#noteLoss(code, reason, true);
    // A handler may have called `disconnect` or `connect`.
    if (this.#status === 'reconnecting') this.#renewal.fire(cause);
  }

  /** A connection ended, or an attempt failed, for a reason other than the token. */
  #failed(code: number, reason: string): void {
    if (isFinal(code)) return this.#end(code, reason);
    if (this.#status !== 'connected') {
      this.#tellError('CONNECTION_FAILED', reason || 'The server cannot be reached.');
    }
    this.#retry(code, reason);
  }

  #retry(code: number, reason: string): void {
    const willReconnect = this.#hasAttempts || this.#hasSlowAttempts;
    this.#noteLoss(code, reason, willReconnect);
    if (willReconnect && this.#status === 'reconnecting') this.#tryLater();
  }

  #noteLoss(code: number, reason: string, willReconnect: boolean): void {
    const before = this.#status;
    this.#setStatus(willReconnect ? 'reconnecting' : 'disconnected');
    if (before !== 'reconnecting' || !willReconnect) {
      this.#tellDisconnected(code, reason, willReconnect);
    }
  }

  /** Gives up. */
  #end(code: number, reason: string): void {
    this.#leave();
    this.#isBarred = true;
    this.#noteLoss(code, reason, false);
  }

  /** Opens a connection, or sees to a token first if the one in use is not good. */
  #open(): void {
    if (this.token === null || this.#connection) return;
    if (this.#renewal.isStale && this.#renewal.canRenew) this.#renewal.fire('over');
    this.#renewal.resume();
    if (!this.#renewal.isSeeking) this.#openNow();
  }

  #openFresh(): void {
    this.#isBarred = false;
    if (this.#status === 'disconnected') this.#setStatus('connecting');
    this.#openNow();
  }

  #openNow(): void {
    const token = this.#renewal.tokenToOpen;
    if (token === null || this.#connection) return;
    this.#comeback.cancel();
    const { address = socketAddress(), silenceMs } = this.#owner.options;
    this.#isOnTrial = this.#renewal.opensFresh;
    try {
      this.#connection = new Connection(address, token, silenceMs, {
        onFrame: (frame) => this.#onFrame(frame),
        onEnd: (code, reason) => this.#onEnd(code, reason),
      });
    } catch (error) {
      // The browser throws before it connects if the address or the token cannot be used at all.
      this.#onEnd(this.#isOnTrial ? TOKEN_REFUSED : 4400, String(error));
    }
  }

  get #hasAttempts(): boolean {
    return this.#comeback.attempts < this.#owner.options.maxAttempts;
  }

  /** Only a page can be shown again, or see the network come back. */
  get #hasSlowAttempts(): boolean {
    return hasPage() && Number.isFinite(this.#owner.options.slowIntervalMs);
  }

  /** Plans the next attempt. When the quick ones are used up, slow ones follow while somebody may look. */
  #tryLater(): void {
    const { intervalMs, slowIntervalMs, maxAttempts } = this.#owner.options;
    const interval_ms = this.#hasAttempts ? intervalMs : slowIntervalMs;
    const mayWait = this.#hasAttempts || this.#page.isVisible;
    if (!mayWait) return this.#comeback.cancel();
    const delay_ms = this.#comeback.plan(interval_ms, () => {
      if (this.#comeback.attempts <= maxAttempts || this.#page.isVisible) this.#open();
    });
    this.#owner.tell({
      type: 'reconnecting',
      attempt: this.#comeback.attempts,
      max_attempts: maxAttempts,
      is_slow: this.#comeback.attempts > maxAttempts,
      delay_ms: Math.round(delay_ms),
    });
  }

  /** Plans the next try of a renewal: with the next attempt, or beside the connection. */
  #rest(): void {
    if (this.#connection) return this.#after(() => this.#renewal.resume());
    if (this.#isRefused && !this.#hasAttempts) return this.#renewal.fire('out');
    this.#retry(ABNORMAL, 'There is no fresh token yet.');
  }

  #offer(token: string | null): void {
    if (token === null || this.#status !== 'connected' || !this.#connection) return;
    this.#offered.make(token, this.#owner.options.refreshMs);
  }

  #after(call: () => void): void {
    clearTimeout(this.#later);
    this.#later = setTimeout(call, about(this.#owner.options.intervalMs));
  }

  #leave(): void {
    const connection = this.#connection;
    this.#drop();
    connection?.close();
  }

  /** Forgets the connection and all that waits. */
  #drop(): void {
    this.#connection = null;
    this.#isOnTrial = false;
    this.#comeback.cancel();
    this.#offered.forget();
    clearTimeout(this.#later);
    this.#owner.onLost();
  }

  #wake(): void {
    if (this.token === null || this.#isBarred) return;
    if (this.#status === 'connected') this.#connection?.probe();
    // A try that is on its way is left alone: a login server may take a token for a refresh only once.
    else if (!this.#connection && !this.#comeback.isAwaitingSlot && this.#renewal.standing !== 'seeking') {
      this.reconnect();
    }
  }

  #setStatus(status: ConnectionStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#owner.onStatus();
  }

  #tellDisconnected(code: number, reason: string, will_reconnect: boolean): void {
    this.#owner.tell({ type: 'disconnected', code, reason, will_reconnect });
  }

  #tellError(code: string, message: string, retry = true): void {
    this.#owner.tell({ type: 'error', code, message, retry });
  }
}

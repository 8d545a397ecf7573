/**
 * Asks for subscriptions and answers for them, over whatever connection there is.
 *
 * subscriptions.ts decides which frames are new; this room sends, waits and asks again.
 */
import { about } from './comeback.js';
import type { ClientFrame, ErrorFrame, EventFrame, SubscribedFrame } from './frames.js';
import { Snapshots } from './snapshots.js';
import { EVERYTHING, Subscriptions, type Subscription } from './subscriptions.js';

/** How long an unused subscription is kept, so that a remount finds it. */
const LINGER_MS = 100;

/** The code of the bridge's error for a position that core has not given yet. */
const POSITION_UNKNOWN = 'POSITION_UNKNOWN';

export interface SubscriberOwner {
  readonly isConnected: boolean;
  readonly intervalMs: number;
  /** Whether a subscription has been compared, or has to be, may have changed. */
  onChange(): void;
  send(frame: ClientFrame): void;
}

export class Subscriber {
  readonly #owner: SubscriberOwner;
  readonly #subscriptions = new Subscriptions();
  readonly #snapshots = new Snapshots();
  /** The subscriptions that a lost connection, or a bridge without core, has left behind. */
  readonly #behind = new Set<string>();
  #requests = 0;

  constructor(owner: SubscriberOwner) {
    this.#owner = owner;
  }

  /** The ids that are in use. */
  wanted(): Set<string> {
    return this.#subscriptions.wanted();
  }

  /** Whether everything that was subscribed to before is compared again. */
  get isCaughtUp(): boolean {
    return this.#behind.size === 0;
  }

  isCompared(escrowId: string): boolean {
    return this.#subscriptions.get(escrowId)?.isCompared ?? false;
  }

  add(escrowId: string): void {
    const subscription = this.#subscriptions.add(escrowId);
    if (!this.#owner.isConnected) this.#behind.add(escrowId);
    if (subscription.request === null || subscription.isRefused) this.#ask(subscription);
  }

  remove(escrowId: string): void {
    const subscription = this.#subscriptions.get(escrowId);
    if (!subscription || subscription.wanted === 0) return;
    subscription.wanted -= 1;
    if (subscription.wanted === 0) setTimeout(() => this.#release(subscription), LINGER_MS);
  }

  /**
   * The last known snapshot of an escrow. Of `*` all known ones, and the answer if it has come; none
   * while nobody has subscribed to it, because escrows may have ended since the last time.
   */
  known(escrowId: string): SubscribedFrame[] {
    const snapshot = this.#snapshots.get(escrowId);
    if (snapshot) return [snapshot];
    const everything = this.#subscriptions.get(EVERYTHING);
    if (escrowId !== EVERYTHING || !everything) return [];
    const answer = everything.isAnswered ? [{ type: 'subscribed', escrow_id: EVERYTHING } as const] : [];
    return [...this.#snapshots.all(), ...answer];
  }

  /** Forgets all versions, because another user logs in. */
  forget(): void {
    this.#subscriptions.forgetVersions();
    this.#snapshots.forget();
  }

  /** Notes that the connection is lost: every subscription has to be asked for again. */
  lost(): void {
    this.#subscriptions.unask();
    for (const id of this.wanted()) this.#behind.add(id);
  }

  /** Asks for all that is in use. */
  askAll(): void {
    const ids = [...this.wanted()];
    // Subscriptions to single escrows go first: they bring the missed events in order.
    ids.sort((a, b) => Number(a === EVERYTHING) - Number(b === EVERYTHING));
    for (const id of ids) {
      const subscription = this.#subscriptions.get(id);
      if (subscription && subscription.request === null) this.#ask(subscription);
    }
  }

  /** Whether the newest request for a subscription named what was known, so that the rest has come. */
  isResumed(escrowId: string): boolean {
    return this.#subscriptions.get(escrowId)?.isResumed ?? false;
  }

  /** Whether a snapshot is new. */
  takesSnapshot(frame: SubscribedFrame): boolean {
    this.#endUnused(frame.escrow_id);
    const isNew = this.#subscriptions.takesSnapshot(frame);
    if (isNew) this.#snapshots.note(frame.escrow_id, frame.version, frame.data);
    if (this.isCompared(frame.escrow_id)) this.#behind.delete(frame.escrow_id);
    return isNew;
  }

  /** Whether a frame of an event is new. */
  takesEvent(frame: EventFrame): boolean {
    this.#endUnused(frame.escrow_id);
    const isNew = this.#subscriptions.takesEvent(frame);
    if (isNew && frame.type === 'escrow_update') {
      this.#snapshots.note(frame.escrow_id, frame.version, frame.data);
    }
    return isNew;
  }

  /** An unused subscription would note a frame as seen, and its next user would miss it. */
  #endUnused(escrowId: string): void {
    for (const id of [escrowId, EVERYTHING]) {
      const subscription = this.#subscriptions.get(id);
      if (subscription?.wanted === 0) this.#release(subscription);
    }
  }

  /** Notes that a subscription was refused, and asks for it again if that may help. */
  refused(frame: ErrorFrame): void {
    const subscription = this.#subscriptions.answered(frame.id, frame.escrow_id);
    if (!subscription) return;
    const hadPosition = subscription.isResumed || !subscription.isPending;
    if (frame.code === POSITION_UNKNOWN && hadPosition) {
      // Core's database is older than what this page knows: begin anew.
      this.forget();
      this.#behind.add(EVERYTHING);
      return this.#ask(subscription);
    }
    subscription.isPending = false;
    subscription.isRefused = true;
    subscription.isCompared = false;
    if (frame.retry) this.#behind.add(subscription.escrowId);
    else this.#behind.delete(subscription.escrowId);
    if (frame.retry) setTimeout(() => this.#askAgain(subscription), about(this.#owner.intervalMs));
  }

  #askAgain(subscription: Subscription): void {
    if (subscription.isRefused && subscription.wanted > 0) this.#ask(subscription);
  }

  #ask(subscription: Subscription): void {
    if (!this.#owner.isConnected) return;
    this.#requests += 1;
    const id = `s${this.#requests}`;
    const after = this.#subscriptions.ask(subscription, id);
    const frame = { type: 'subscribe' as const, escrow_id: subscription.escrowId, id };
    this.#owner.send(after === undefined ? frame : { ...frame, after });
  }

  #release(subscription: Subscription): void {
    const current = this.#subscriptions.get(subscription.escrowId);
    if (current !== subscription || subscription.wanted > 0) return;
    this.#subscriptions.drop(subscription.escrowId);
    this.#behind.delete(subscription.escrowId);
    this.#owner.onChange();
    if (subscription.request === null) return;
    this.#owner.send({ type: 'unsubscribe', escrow_id: subscription.escrowId });
  }
}

/**
 * What is watched, by how many, and up to which version; decides what of the incoming is new.
 *
 * Pure bookkeeping: it sends nothing and knows no clock. Two rules keep every event single and in
 * order. An event makes up to three frames of one version, of which `escrow_update` is the last: a
 * version is done with that frame, and until then each kind of frame passes once. And while `*`
 * and an escrow's own subscription both run, only the next version passes: the other stream
 * may be ahead, and the escrow's own brings what lies between.
 */
import type { EventFrame, SubscribedFrame } from './frames.js';

/** The name under which everything that concerns the user is watched. */
export const EVERYTHING = '*';

/** How many escrows' versions are remembered for `*` at the most; the longest untouched go first. */
const VERSIONS_MAX = 10_000;

export interface Subscription {
  readonly escrowId: string;
  /** How many want it; 0 while it lingers. */
  wanted: number;
  /** The `id` of the frame that asked last. */
  request: string | null;
  /** Whether the answer to that frame is still to come. */
  isPending: boolean;
  /** Whether that frame carried `after`, so that the missed events come before the answer. */
  isResumed: boolean;
  isRefused: boolean;
}

interface Seen {
  /** The last version that is complete. */
  version: number;
  /** The version that has begun after it, and the kinds of frame that came of it. */
  begun: number;
  kinds: Set<string>;
}

export class Subscriptions {
  readonly #all = new Map<string, Subscription>();
  readonly #seen = new Map<string, Seen>();
  /** Whether this connection was ever asked for `*`: its last frames outlive the subscription. */
  #hasEverything = false;

  get(escrowId: string): Subscription | undefined {
    return this.#all.get(escrowId);
  }

  /** The ids that somebody wants. */
  wanted(): Set<string> {
    return new Set([...this.#all.values()].filter((s) => s.wanted > 0).map((s) => s.escrowId));
  }

  add(escrowId: string): Subscription {
    const known = this.#all.get(escrowId);
    if (known) {
      known.wanted += 1;
      return known;
    }
    const made: Subscription = {
      escrowId,
      wanted: 1,
      request: null,
      isPending: false,
      isResumed: false,
      isRefused: false,
    };
    this.#all.set(escrowId, made);
    return made;
  }

  /** Forgets a subscription, and its versions where `*` does not need them. */
  drop(escrowId: string): void {
    this.#all.delete(escrowId);
    if (escrowId === EVERYTHING) {
      for (const id of this.#seen.keys()) if (!this.#all.has(id)) this.#seen.delete(id);
    } else if (!this.#all.has(EVERYTHING)) {
      this.#seen.delete(escrowId);
    }
  }

  /** Forgets all versions: another user is going to look. */
  forgetVersions(): void {
    this.#seen.clear();
  }

  /** The connection is gone: everything has to be asked for again. */
  unask(): void {
    this.#hasEverything = false;
    for (const s of this.#all.values()) {
      s.request = null;
      s.isPending = false;
      s.isRefused = false;
    }
  }

  /** Notes that `request` asks for it now; answers what to send as `after`. */
  ask(subscription: Subscription, request: string): number | undefined {
    const after =
      subscription.escrowId === EVERYTHING
        ? undefined
        : this.#seen.get(subscription.escrowId)?.version;
    if (subscription.escrowId === EVERYTHING) this.#hasEverything = true;
    subscription.request = request;
    subscription.isPending = true;
    subscription.isRefused = false;
    subscription.isResumed = after !== undefined;
    return after;
  }

  /** The subscription that an answer belongs to: by its id, or by escrow where it has none. */
  answered(id: string | undefined, escrowId: string | undefined): Subscription | undefined {
    if (id !== undefined) {
      for (const s of this.#all.values()) if (s.request === id) return s;
      return undefined;
    }
    return escrowId === undefined ? undefined : this.#all.get(escrowId);
  }

  /** Whether a `subscribed` frame says anything new; moves the versions along. */
  takesSnapshot(frame: SubscribedFrame): boolean {
    const own = this.#all.get(frame.escrow_id);
    const all = this.#all.get(EVERYTHING);
    const isOwn =
      own !== undefined && (frame.id === own.request || (frame.id === undefined && !this.#hasEverything));
    if (isOwn) {
      own.isPending = false;
      this.#advance(frame.escrow_id, frame.version);
      return own.wanted > 0;
    }
    if (own !== undefined || !all || all.wanted === 0) return false;
    const seen = this.#seen.get(frame.escrow_id);
    if (seen && frame.version !== undefined && frame.version <= seen.version) return false;
    this.#advance(frame.escrow_id, frame.version);
    return true;
  }

  /** Whether an event's frame is new; moves the versions along. */
  takesEvent(frame: EventFrame): boolean {
    const own = this.#active(frame.escrow_id);
    const all = this.#active(EVERYTHING);
    if (!own && !all) return false;
    if (own?.isPending && !own.isResumed) return false;
    if (typeof frame.version !== 'number') return true;
    return this.#takesVersion(frame, own !== undefined && this.#hasEverything);
  }

  #active(escrowId: string): Subscription | undefined {
    const s = this.#all.get(escrowId);
    return s && s.wanted > 0 && !s.isRefused ? s : undefined;
  }

  #takesVersion(frame: EventFrame, isInStep: boolean): boolean {
    const seen = this.#seen.get(frame.escrow_id) ?? { version: 0, begun: 0, kinds: new Set() };
    const isFirst = !this.#seen.has(frame.escrow_id);
    if (frame.version <= seen.version) return false;
    if (isInStep && !isFirst && frame.version > seen.version + 1) return false;
    if (seen.begun !== frame.version) {
      seen.begun = frame.version;
      seen.kinds = new Set();
    }
    if (seen.kinds.has(frame.type)) return false;
    seen.kinds.add(frame.type);
    if (isFirst) seen.version = frame.version - 1;
    if (frame.type === 'escrow_update') seen.version = frame.version;
    this.#remember(frame.escrow_id, seen);
    return true;
  }

  #advance(escrowId: string, version: number | undefined): void {
    if (version === undefined) return;
    const seen = this.#seen.get(escrowId);
    if (seen && seen.version >= version) return;
    this.#remember(escrowId, { version, begun: version, kinds: new Set() });
  }

  #remember(escrowId: string, seen: Seen): void {
    this.#seen.delete(escrowId);
    this.#seen.set(escrowId, seen);
    if (this.#seen.size <= VERSIONS_MAX) return;
    for (const id of this.#seen.keys()) {
      if (this.#all.has(id)) continue;
      this.#seen.delete(id);
      return;
    }
  }
}

/**
 * The subscriptions, with the number of their users and their versions. Decides which frames are new.
 *
 * It sends nothing and knows no clock. Three rules let every event through once and in order:
 *
 * - An event is up to three frames of one version, and `escrow_update` is the last of them. Until it
 *   comes, each type of frame passes once; after it, the version is complete.
 * - `*` goes on after a position. It counts only when everything before it has come: with an event
 *   that is complete, and not before `*` is answered, unless the missed events come first.
 * - While an escrow has a subscription of its own beside `*`, only its next version passes. A frame
 *   of `*` may be further ahead; the escrow's own subscription brings the versions in between.
 */
import type { EventFrame, SubscribedFrame } from './frames.js';

/** The escrow_id that stands for all escrows of the user. */
export const EVERYTHING = '*';

/** The most escrows whose version is remembered for `*`. The least recently updated go first. */
const VERSIONS_MAX = 10_000;

export interface Subscription {
  readonly escrowId: string;
  /** How many components use it; 0 while it waits to be dropped. */
  wanted: number;
  /** The `id` of the last subscribe frame. */
  request: string | null;
  /** Whether that frame is still to be answered. */
  isPending: boolean;
  /** Whether that frame had `after`, so that the missed events come before the answer. */
  isResumed: boolean;
  isRefused: boolean;
  /** Whether the bridge has answered on this connection: all that was missed has come. */
  isCompared: boolean;
  /** Whether it has ever been answered to this user. */
  isAnswered: boolean;
}

interface Seen {
  /** The last complete version. */
  version: number;
  /** The version of which some frames have come, and the types of these frames. */
  begun: number;
  kinds: Set<string>;
}

export class Subscriptions {
  readonly #all = new Map<string, Subscription>();
  readonly #seen = new Map<string, Seen>();
  /** The position up to which `*` has brought everything; undefined if it has to begin anew. */
  #position: number | undefined;
  /** Whether this connection has ever subscribed to `*`: frames may still come after its end. */
  #hasEverything = false;

  get(escrowId: string): Subscription | undefined {
    return this.#all.get(escrowId);
  }

  /** The ids that are in use. */
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
      isCompared: false,
      isAnswered: false,
    };
    this.#all.set(escrowId, made);
    return made;
  }

  /** Forgets a subscription, and its versions unless `*` needs them. */
  drop(escrowId: string): void {
    this.#all.delete(escrowId);
    if (escrowId === EVERYTHING) {
      this.#position = undefined;
      for (const id of this.#seen.keys()) if (!this.#all.has(id)) this.#seen.delete(id);
    } else if (!this.#all.has(EVERYTHING)) {
      this.#seen.delete(escrowId);
    }
  }

  /** Forgets all versions, because another user logs in, or because core knows none of them. */
  forgetVersions(): void {
    this.#position = undefined;
    this.#seen.clear();
    for (const s of this.#all.values()) s.isAnswered = false;
  }

  /** Notes that the connection is lost: every subscription has to be asked for again. */
  unask(): void {
    this.#hasEverything = false;
    for (const s of this.#all.values()) {
      s.request = null;
      s.isPending = false;
      s.isRefused = false;
      s.isCompared = false;
    }
  }

  /** Notes that the frame `request` asks for it; answers the `after` to send. */
  ask(subscription: Subscription, request: string): number | undefined {
    const after =
      subscription.escrowId === EVERYTHING
        ? this.#position
        : this.#seen.get(subscription.escrowId)?.version;
    if (subscription.escrowId === EVERYTHING) this.#hasEverything = true;
    subscription.request = request;
    subscription.isPending = true;
    subscription.isRefused = false;
    subscription.isResumed = after !== undefined;
    return after;
  }

  /** Finds the subscription that an answer is for: by the frame's id, or by escrow if it has none. */
  answered(id: string | undefined, escrowId: string | undefined): Subscription | undefined {
    if (id !== undefined) {
      for (const s of this.#all.values()) if (s.request === id) return s;
      return undefined;
    }
    return escrowId === undefined ? undefined : this.#all.get(escrowId);
  }

  /** Whether a `subscribed` frame is new. Notes its version. */
  takesSnapshot(frame: SubscribedFrame): boolean {
    const own = this.#all.get(frame.escrow_id);
    const all = this.#all.get(EVERYTHING);
    const isOwn =
      own !== undefined && (frame.id === own.request || (frame.id === undefined && !this.#hasEverything));
    if (isOwn) {
      own.isPending = false;
      own.isAnswered = true;
      own.isCompared = true;
      if (own.escrowId === EVERYTHING) this.#position = frame.position;
      this.#advance(frame.escrow_id, frame.version);
      return own.wanted > 0;
    }
    if (!all || all.wanted === 0) return false;
    const known = this.#seen.get(frame.escrow_id)?.version ?? -1;
    // Whoever has just subscribed to `*` is told of everything, also of what others know already.
    const isTold = all.isAnswered && frame.version === known;
    if (own !== undefined) return frame.version === known && !isTold && !own.isPending;
    if (frame.version !== undefined && (frame.version < known || isTold)) return false;
    this.#advance(frame.escrow_id, frame.version);
    return true;
  }

  /** Whether a frame of an event is new. Notes its version. */
  takesEvent(frame: EventFrame): boolean {
    const own = this.#active(frame.escrow_id);
    const all = this.#active(EVERYTHING);
    if (!own && !all) return false;
    if (all && frame.type === 'escrow_update') this.#advancePosition(all, frame.position);
    if (own?.isPending && !own.isResumed) return false;
    if (typeof frame.version !== 'number') return true;
    return this.#takesVersion(frame, own !== undefined && this.#hasEverything);
  }

  #advancePosition(all: Subscription, position: number | undefined): void {
    const isInOrder = all.isCompared || (all.isPending && all.isResumed);
    if (position !== undefined && isInOrder) this.#position = position;
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

/**
 * The last known state of escrows, for components that begin to look when the frames have passed.
 *
 * It is kept after the last component has gone, because one that is mounted again wants to show
 * something at once. It may be old then: the bridge's answer to the new subscription follows.
 */
import type { EscrowData, SubscribedFrame } from './frames.js';

/** The most escrows of which it is kept. The least recently updated go first. */
const SNAPSHOTS_MAX = 1_000;

export class Snapshots {
  readonly #known = new Map<string, SubscribedFrame>();

  note(escrow_id: string, version: number | undefined, data: EscrowData | undefined): void {
    if (version === undefined || !data) return;
    this.#known.delete(escrow_id);
    this.#known.set(escrow_id, { type: 'subscribed', escrow_id, version, data });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= SNAPSHOTS_MAX) return;
      this.#known.delete(oldest);
    }
  }

  get(escrowId: string): SubscribedFrame | undefined {
    return this.#known.get(escrowId);
  }

  all(): SubscribedFrame[] {
    return [...this.#known.values()];
  }

  forget(): void {
    this.#known.clear();
  }
}

/** What the stand-in of the bridge knows: escrows in memory, with every event in one order. */

export interface Event {
  escrow_id: string;
  version: number;
  /** Its place in the order of all events. */
  position: number;
  type: string;
  status: string;
  old_status: string;
}

/** Who asks. */
export interface Claims {
  sub: string;
  exp: number;
  roles: string[];
}

const FINAL = ['RELEASED', 'REFUNDED', 'SPLIT', 'CANCELLED'];

export class Record {
  readonly #order: Event[] = [];
  readonly #events = new Map<string, Event[]>();
  readonly #parties = new Map<string, string[]>();
  readonly #needy = new Set<string>();

  /** The position of the newest event. */
  get position(): number {
    return this.#order.length;
  }

  add(escrowId: string, parties: string[]): Event {
    this.#parties.set(escrowId, parties);
    return this.advance(escrowId, 'escrow_created');
  }

  advance(escrow_id: string, type: string, status?: string): Event {
    const events = this.#events.get(escrow_id) ?? [];
    const old_status = events.at(-1)?.status ?? 'INITIATED';
    const event: Event = {
      escrow_id,
      version: events.length + 1,
      position: this.position + 1,
      type,
      old_status,
      status: status ?? old_status,
    };
    this.#order.push(event);
    this.#events.set(escrow_id, [...events, event]);
    if (type === 'attention_raised') this.#needy.add(escrow_id);
    return event;
  }

  /** Loses all events after a position, as when core's database is restored from a backup. */
  restore(position: number): void {
    for (const { escrow_id } of this.#order.splice(position)) {
      this.#events.set(escrow_id, this.events(escrow_id).slice(0, -1));
    }
  }

  events(escrowId: string): Event[] {
    return this.#events.get(escrowId) ?? [];
  }

  /** Whether a user may see an escrow. */
  concerns(claims: Claims, escrowId: string): boolean {
    if (this.events(escrowId).length === 0) return false;
    return seesAll(claims) || (this.#parties.get(escrowId)?.includes(claims.sub) ?? false);
  }

  /** The escrows whose snapshots `*` begins with: those that have not ended, as the real bridge does. */
  shown(claims: Claims): string[] {
    return [...this.#events.keys()].filter((id) => {
      const isWanted = seesAll(claims) ? this.#needy.has(id) : this.concerns(claims, id);
      return isWanted && !FINAL.includes(this.events(id).at(-1)?.status ?? '');
    });
  }

  /** What a user has missed since a position, in order. */
  since(claims: Claims, position: number): Event[] {
    return this.#order.slice(position).filter((event) => this.concerns(claims, event.escrow_id));
  }
}

function seesAll(claims: Claims): boolean {
  return claims.roles.includes('admin') || claims.roles.includes('service');
}

/** The snapshot of an escrow at a version. */
export function data({ escrow_id, version, status }: Event): object {
  return { escrow_id, version, status, amount: 100, amount_minor: 10_000, currency: 'INR' };
}

/** The frames of an event; those of `*` have its position. */
export function frames(event: Event, isPlaced: boolean): object[] {
  const { escrow_id, version, type, status, old_status } = event;
  const head = isPlaced ? { escrow_id, version, position: event.position } : { escrow_id, version };
  const told: object[] = [];
  if (type.startsWith('payment_')) {
    told.push({ type: 'payment_status', ...head, status: type.slice(8) });
  }
  if (status !== old_status) {
    told.push({ type: 'status_change', ...head, old_status, new_status: status });
  }
  return [...told, { type: 'escrow_update', ...head, data: { ...data(event), event_type: type } }];
}

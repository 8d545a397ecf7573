/**
 * The frames between a browser and the bridge, as types.
 *
 * Amounts that end in `_minor` are whole minor units (paise); `amount` is in rupees, for people only.
 * Times are RFC 3339 in UTC. `version` counts the events of one escrow: 1, 2, 3 … without gaps.
 */

export type EscrowStatus =
  | 'INITIATED'
  | 'HELD'
  | 'DISPUTED'
  | 'SETTLING'
  | 'RELEASED'
  | 'REFUNDED'
  | 'SPLIT'
  | 'CANCELLED';

export type PaymentStatus =
  | 'created'
  | 'authorized'
  | 'captured'
  | 'failed'
  | 'partially_refunded'
  | 'refunded';

export interface ConfirmationData {
  party: 'buyer' | 'seller';
  time: string | null;
}

export interface DisputeData {
  raised_by: string;
  reason: string;
  status: 'open' | 'withdrawn' | 'resolved';
  /** What the arbiter wrote about the decision. */
  note?: string;
}

/** How the held money is divided, once that is decided. */
export interface SettlementData {
  release_minor: number;
  refund_minor: number;
  fee_minor: number;
}

/** The four sum up to what was paid. */
export interface MoneyData {
  held_minor: number;
  released_minor: number;
  refunded_minor: number;
  fee_minor: number;
}

export interface MilestoneData extends MoneyData {
  milestone_id: string;
  title: string;
  amount_minor: number;
  status: EscrowStatus;
  confirmations: ConfirmationData[];
  dispute: DisputeData | null;
  settlement?: SettlementData | null;
}

/** An escrow as it is at `version`. */
export interface EscrowData extends MoneyData {
  escrow_id: string;
  status: EscrowStatus;
  version: number;
  amount: number;
  amount_minor: number;
  currency: string;
  buyer_id: string;
  seller_id: string;
  arbiter_id: string;
  title: string;
  description?: string;
  payment: { status: PaymentStatus | null; order_id: string | null; payment_id: string | null };
  confirmations: ConfirmationData[];
  dispute: DisputeData | null;
  settlement?: SettlementData | null;
  attention: string;
  created_at: string;
  updated_at: string;
  milestones?: MilestoneData[];
}

/** The escrow right after an event, and what the event was. */
export interface EventData extends EscrowData {
  event_type: string;
  actor_id?: string;
  time?: string | null;
  event_data?: Record<string, unknown>;
  milestone_id?: string;
}

interface Answer {
  /** The `id` of the client's frame that this frame answers. */
  id?: string;
}

export interface ConnectedFrame {
  type: 'connected';
  user_id: string;
  /** Seconds since the epoch. */
  expires_at: number;
  /** The server's clock, seconds since the epoch. */
  time: number;
  /** Seconds. */
  ping_interval: number;
}

/** Whether events reach the bridge. While they do not, the socket stays open. */
export interface LiveFrame {
  type: 'live';
  live: boolean;
  /** Why not, for an engineer to read. */
  reason?: string;
}

/**
 * The snapshot that answers a subscribe, after the events that were missed. With escrow_id `*` it
 * comes after all snapshots and has no data.
 */
export interface SubscribedFrame extends Answer {
  type: 'subscribed';
  escrow_id: string;
  version?: number;
  data?: EscrowData;
}

export interface UnsubscribedFrame extends Answer {
  type: 'unsubscribed';
  escrow_id: string;
}

export interface PaymentStatusFrame {
  type: 'payment_status';
  escrow_id: string;
  version: number;
  status: PaymentStatus;
}

export interface StatusChangeFrame {
  type: 'status_change';
  escrow_id: string;
  version: number;
  old_status: EscrowStatus;
  new_status: EscrowStatus;
}

/** Sent once for every event, after the payment_status and status_change of the same version. */
export interface EscrowUpdateFrame {
  type: 'escrow_update';
  escrow_id: string;
  version: number;
  data: EventData;
}

export interface PongFrame extends Answer {
  type: 'pong';
}

export interface AuthenticatedFrame extends Answer {
  type: 'authenticated';
  expires_at: number;
}

export interface ReconnectFrame {
  type: 'reconnect';
  after_ms: number;
}

export interface ErrorFrame extends Answer {
  type: 'error';
  code: string;
  message: string;
  retry: boolean;
  escrow_id?: string;
}

export type EventFrame = PaymentStatusFrame | StatusChangeFrame | EscrowUpdateFrame;

export type ServerFrame =
  | ConnectedFrame
  | LiveFrame
  | SubscribedFrame
  | UnsubscribedFrame
  | EventFrame
  | PongFrame
  | AuthenticatedFrame
  | ReconnectFrame
  | ErrorFrame;

export type ClientFrame =
  | { type: 'subscribe'; escrow_id: string; after?: number; id?: string }
  | { type: 'unsubscribe'; escrow_id: string; id?: string }
  | { type: 'ping'; id?: string }
  | { type: 'auth'; token: string; id?: string };

/** Reads one frame; null if it is not a JSON object with a `type`. */
export function parseFrame(text: unknown): ServerFrame | null {
  if (typeof text !== 'string') return null;
  try {
    const value: unknown = JSON.parse(text);
    const isFrame =
      typeof value === 'object' &&
      value !== null &&
      'type' in value &&
      typeof value.type === 'string';
    return isFrame ? (value as ServerFrame) : null;
  } catch {
    return null;
  }
}

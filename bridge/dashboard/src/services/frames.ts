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

/** The party that did not create the escrow agrees to it. */
export type AcceptanceData = ConfirmationData;

/** What the clock does when a deadline passes. */
export type DeadlineAction = 'CANCEL' | 'RELEASE';

export type AttentionCode =
  | 'BANK_DISPUTE'
  | 'PLATFORM_LOSS'
  | 'FOREIGN_TRANSFER'
  | 'FOREIGN_REFUND'
  | 'GATEWAY_REFUSED'
  | 'PAYEE_REFUSED'
  | 'PAYEE_MISSING'
  | 'BOOKS_DIFFER'
  | 'SURPLUS_PAYMENT';

/** Something that a person has to look at. It goes when it is over. */
export interface AttentionData {
  /** A newer server may send a code that is not listed here. */
  code: AttentionCode | (string & {});
  /** For engineers and operators. */
  message: string;
  since: string | null;
  /** Empty where it concerns the whole escrow. */
  milestone_id: string;
}

/** What was agreed beside the amount. */
export interface TermsData {
  payment_window_s: number;
  inspection_period_s: number;
  /** Whether the other side must accept before a payment can be started. */
  acceptance_required: boolean;
}

/** A refund that Razorpay has processed. */
export interface RefundData {
  refund_id: string;
  amount_minor: number;
  /** The bank's own number of it; null while Razorpay has none. */
  bank_reference: string | null;
  time: string | null;
}

/** A payment that the escrow could not use, and that goes back to its payer. */
export interface ReturnedPaymentData {
  payment_id: string;
  amount_minor: number;
  currency: string;
  why: string;
  refunded_minor: number;
  /** Null until Razorpay has processed it. */
  refund: RefundData | null;
}

export interface PaymentData {
  status: PaymentStatus | null;
  order_id: string | null;
  payment_id: string | null;
  /** What the customer paid on top, as the bearer of Razorpay's fee. It is not refunded. */
  customer_fee_minor: number;
  /** What the bank gave back to the buyer after a lost dispute. */
  charged_back_minor: number;
  refunds: RefundData[];
}

export interface DisputeData {
  raised_by: string;
  reason: string;
  status: 'open' | 'withdrawn' | 'resolved';
  /** Why it was decided as it was. */
  note: string;
}

/** How the held money is divided, once that is decided. */
export interface SettlementData {
  /** A user id, `clock` or `bank`. */
  decided_by: string;
  note: string;
  /** `bank` where the bank gave the buyer the money. */
  refunded_by: string | null;
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

/** What an escrow and a milestone have in common. */
export interface PieceData extends MoneyData {
  title: string;
  amount_minor: number;
  status: EscrowStatus;
  confirmations: ConfirmationData[];
  dispute: DisputeData | null;
  settlement: SettlementData | null;
  /** When the clock acts, and how; null while it does not. Of an escrow with milestones, the next one. */
  deadline: string | null;
  deadline_action: DeadlineAction | null;
  /** What the seller gets if all of it is released. */
  payout_minor: number;
}

export interface MilestoneData extends PieceData {
  milestone_id: string;
}

/** An escrow as it is at `version`. */
export interface EscrowData extends PieceData {
  escrow_id: string;
  version: number;
  amount: number;
  currency: string;
  buyer_id: string;
  seller_id: string;
  arbiter_id: string;
  description: string;
  terms: TermsData;
  payment: PaymentData;
  returned_payments: ReturnedPaymentData[];
  /** A party or a service; null where that was not recorded. */
  created_by: string | null;
  acceptances: AcceptanceData[];
  /** The platform's fee in basis points of what is released. */
  fee_bps: number;
  /** `bank` where the bank has given the buyer everything back. */
  refunded_by: string | null;
  milestones: MilestoneData[];
  /** The most pressing of `attentions`; empty if there is none. */
  attention: string;
  /** The most pressing first. */
  attentions: AttentionData[];
  external_id: string;
  metadata: Record<string, string>;
  created_at: string;
  updated_at: string;
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

/** What a frame of the subscription to `*` has. */
interface Placed {
  /** Where it is in the one order of all events. With it `*` goes on after a loss. */
  position?: number;
}

/**
 * The snapshot that answers a subscribe, after the events that were missed. With escrow_id `*` it
 * comes after all snapshots, or after the events that were missed, and has no data.
 */
export interface SubscribedFrame extends Answer, Placed {
  type: 'subscribed';
  escrow_id: string;
  version?: number;
  data?: EscrowData;
  /** Of `*`: whether there are more open escrows than snapshots are sent of. */
  more?: boolean;
  /**
   * Set by the service and not by the bridge: whether what was missed has come before, event by event,
   * so that a list that was right before a loss is right again.
   */
  is_resumed?: boolean;
}

export interface UnsubscribedFrame extends Answer {
  type: 'unsubscribed';
  escrow_id: string;
}

export interface PaymentStatusFrame extends Placed {
  type: 'payment_status';
  escrow_id: string;
  version: number;
  status: PaymentStatus;
}

export interface StatusChangeFrame extends Placed {
  type: 'status_change';
  escrow_id: string;
  version: number;
  old_status: EscrowStatus;
  new_status: EscrowStatus;
}

/** Sent once for every event, after the payment_status and status_change of the same version. */
export interface EscrowUpdateFrame extends Placed {
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

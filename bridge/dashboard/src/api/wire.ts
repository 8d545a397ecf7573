/**
 * The messages of escrow.v1 as proto3 JSON, converted to the form that the socket's frames have.
 *
 * In proto3 JSON an int64 is a string, an enum is its full name, and what is empty is absent. The
 * pages know only the other form.
 */
import type {
  ConfirmationData,
  DeadlineAction,
  DisputeData,
  EscrowData,
  EscrowStatus,
  EventData,
  MilestoneData,
  PaymentData,
  PaymentStatus,
  PieceData,
  RefundData,
  ReturnedPaymentData,
  SettlementData,
  TermsData,
} from '../services/websocket';

export interface WireMoney {
  amount_minor?: string;
  currency?: string;
}

interface WireSaid {
  party?: string;
  time?: string;
}

interface WireRefund {
  refund_id: string;
  amount?: WireMoney;
  bank_reference?: string;
  time?: string;
}

interface WirePiece {
  title?: string;
  amount?: WireMoney;
  status?: string;
  held?: WireMoney;
  released?: WireMoney;
  refunded?: WireMoney;
  fee?: WireMoney;
  payout?: WireMoney;
  confirmations?: WireSaid[];
  dispute?: WireDispute | null;
  settlement?: WireSettlement | null;
  deadline?: string | null;
  deadline_action?: string;
}

interface WireDispute {
  raised_by?: string;
  reason?: string;
  status?: string;
  note?: string;
}

interface WireSettlement {
  decided_by?: string;
  note?: string;
  refunded_by?: string;
  release?: WireMoney;
  refund?: WireMoney;
  fee?: WireMoney;
}

interface WireMilestone extends WirePiece {
  milestone_id: string;
}

interface WirePayment {
  status?: string;
  order_id?: string;
  payment_id?: string;
  customer_fee?: WireMoney;
  charged_back?: WireMoney;
  refunds?: WireRefund[];
}

interface WireReturnedPayment {
  payment_id: string;
  amount?: WireMoney;
  why?: string;
  refunded?: WireMoney;
  refund?: WireRefund | null;
}

interface WireTerms {
  payment_window?: string;
  inspection_period?: string;
  acceptance_required?: boolean;
}

interface WireAttention {
  code?: string;
  message?: string;
  since?: string;
  milestone_id?: string;
}

export interface WireEscrow extends WirePiece {
  escrow_id: string;
  buyer_id?: string;
  seller_id?: string;
  arbiter_id?: string;
  description?: string;
  version?: string;
  payment?: WirePayment | null;
  returned_payments?: WireReturnedPayment[];
  terms?: WireTerms | null;
  created_by?: string;
  acceptances?: WireSaid[];
  fee_bps?: number;
  refunded_by?: string;
  create_time?: string;
  update_time?: string;
  attention?: string;
  attentions?: WireAttention[];
  milestones?: WireMilestone[];
  external_id?: string;
  metadata?: Record<string, string>;
}

export interface WireEvent {
  escrow_id: string;
  version: string;
  type: string;
  create_time?: string;
  actor_id?: string;
  data?: Record<string, unknown> | null;
  escrow?: WireEscrow;
  milestone_id?: string;
  update_type?: string;
  hash?: string;
}

/** An escrow as the pages use it. */
export type Escrow = EscrowData;

export function readEscrow(wire: WireEscrow): Escrow {
  return {
    escrow_id: wire.escrow_id,
    ...readPiece(wire),
    version: Number(wire.version ?? 0),
    amount: minor(wire.amount) / 100,
    currency: currency(wire.amount),
    buyer_id: wire.buyer_id ?? '',
    seller_id: wire.seller_id ?? '',
    arbiter_id: wire.arbiter_id ?? '',
    description: wire.description ?? '',
    terms: readTerms(wire.terms ?? {}),
    payment: readPayment(wire.payment ?? {}),
    returned_payments: (wire.returned_payments ?? []).map(readReturned),
    created_by: wire.created_by || null,
    acceptances: (wire.acceptances ?? []).map(readSaid),
    fee_bps: wire.fee_bps ?? 0,
    refunded_by: wire.refunded_by || null,
    attention: wire.attention ?? '',
    attentions: (wire.attentions ?? []).map((one) => ({
      code: bareName(one.code, 'ATTENTION_CODE_'),
      message: one.message ?? '',
      since: one.since ?? null,
      milestone_id: one.milestone_id ?? '',
    })),
    milestones: (wire.milestones ?? []).map(
      (one): MilestoneData => ({ milestone_id: one.milestone_id, ...readPiece(one) }),
    ),
    external_id: wire.external_id ?? '',
    metadata: wire.metadata ?? {},
    created_at: wire.create_time ?? '',
    updated_at: wire.update_time ?? '',
  };
}

/** An event with its hash, which the socket leaves out. */
export type RecordedEvent = EventData & { hash?: string };

/** Converts an event to the form of the `data` of `escrow_update`. */
export function readEvent(wire: WireEvent): RecordedEvent {
  const escrow = readEscrow(wire.escrow ?? { escrow_id: wire.escrow_id });
  return {
    ...escrow,
    version: Number(wire.version),
    event_type: wire.update_type || bareName(wire.type, 'EVENT_TYPE_').toLowerCase(),
    actor_id: wire.actor_id ?? '',
    time: wire.create_time ?? '',
    event_data: wire.data ?? {},
    milestone_id: wire.milestone_id ?? '',
    hash: wire.hash,
  };
}

function readPiece(wire: WirePiece): PieceData {
  return {
    title: wire.title ?? '',
    amount_minor: minor(wire.amount),
    status: bareName(wire.status, 'ESCROW_STATUS_') as EscrowStatus,
    held_minor: minor(wire.held),
    released_minor: minor(wire.released),
    refunded_minor: minor(wire.refunded),
    fee_minor: minor(wire.fee),
    payout_minor: minor(wire.payout),
    confirmations: (wire.confirmations ?? []).map(readSaid),
    dispute: wire.dispute ? readDispute(wire.dispute) : null,
    settlement: wire.settlement ? readSettlement(wire.settlement) : null,
    deadline: wire.deadline ?? null,
    deadline_action: (bareName(wire.deadline_action, 'DEADLINE_ACTION_') ||
      null) as DeadlineAction | null,
  };
}

function readSaid(wire: WireSaid): ConfirmationData {
  const party = bareName(wire.party, 'PARTY_').toLowerCase() as ConfirmationData['party'];
  return { party, time: wire.time ?? null };
}

function readDispute(wire: WireDispute): DisputeData {
  const status = bareName(wire.status, 'DISPUTE_STATUS_').toLowerCase() as DisputeData['status'];
  return {
    raised_by: wire.raised_by ?? '',
    reason: wire.reason ?? '',
    status,
    note: wire.note ?? '',
  };
}

function readSettlement(wire: WireSettlement): SettlementData {
  return {
    decided_by: wire.decided_by ?? '',
    note: wire.note ?? '',
    refunded_by: wire.refunded_by || null,
    release_minor: minor(wire.release),
    refund_minor: minor(wire.refund),
    fee_minor: minor(wire.fee),
  };
}

function readTerms(wire: WireTerms): TermsData {
  return {
    payment_window_s: parseFloat(wire.payment_window ?? '0'),
    inspection_period_s: parseFloat(wire.inspection_period ?? '0'),
    acceptance_required: wire.acceptance_required ?? false,
  };
}

function readPayment(wire: WirePayment): PaymentData {
  const status = bareName(wire.status, 'PAYMENT_STATUS_').toLowerCase();
  return {
    status: status === '' ? null : (status as PaymentStatus),
    order_id: wire.order_id || null,
    payment_id: wire.payment_id || null,
    customer_fee_minor: minor(wire.customer_fee),
    charged_back_minor: minor(wire.charged_back),
    refunds: (wire.refunds ?? []).map(readRefund),
  };
}

function readRefund(wire: WireRefund): RefundData {
  return {
    refund_id: wire.refund_id,
    amount_minor: minor(wire.amount),
    bank_reference: wire.bank_reference || null,
    time: wire.time ?? null,
  };
}

function readReturned(wire: WireReturnedPayment): ReturnedPaymentData {
  return {
    payment_id: wire.payment_id,
    amount_minor: minor(wire.amount),
    currency: currency(wire.amount),
    why: wire.why ?? '',
    refunded_minor: minor(wire.refunded),
    refund: wire.refund ? readRefund(wire.refund) : null,
  };
}

function minor(money: WireMoney | null | undefined): number {
  return Number(money?.amount_minor ?? 0);
}

function currency(money: WireMoney | undefined): string {
  return money?.currency ?? 'INR';
}

/** The name without its enum's prefix; empty for UNSPECIFIED. */
export function bareName(name: string | undefined, prefix: string): string {
  const bare = (name ?? '').replace(prefix, '');
  return bare === 'UNSPECIFIED' ? '' : bare;
}

/**
 * The messages of escrow.v1 as proto3 JSON, converted to the form that the socket's frames have.
 *
 * In proto3 JSON an int64 is a string and an enum is its full name. The pages know only the other form.
 */
import type {
  ConfirmationData,
  DisputeData,
  EscrowData,
  EscrowStatus,
  EventData,
  MilestoneData,
  MoneyData,
  PaymentStatus,
  SettlementData,
} from '../services/websocket';

export interface WireMoney {
  amount_minor?: string;
  currency?: string;
}

interface WireParts {
  status?: string;
  held?: WireMoney;
  released?: WireMoney;
  refunded?: WireMoney;
  fee?: WireMoney;
  confirmations?: { party?: string; time?: string }[];
  dispute?: { raised_by?: string; reason?: string; status?: string; note?: string } | null;
  settlement?: { release?: WireMoney; refund?: WireMoney; fee?: WireMoney } | null;
}

interface WireMilestone extends WireParts {
  milestone_id: string;
  title?: string;
  amount?: WireMoney;
}

export interface WireEscrow extends WireParts {
  escrow_id: string;
  buyer_id?: string;
  seller_id?: string;
  arbiter_id?: string;
  title?: string;
  description?: string;
  amount?: WireMoney;
  version?: string;
  payment?: { status?: string; order_id?: string; payment_id?: string } | null;
  terms?: { payment_window?: string; inspection_period?: string } | null;
  create_time?: string;
  update_time?: string;
  attention?: string;
  milestones?: WireMilestone[];
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
}

/** An escrow as the pages use it. Only the JSON API gives the terms. */
export interface Escrow extends EscrowData {
  milestones: MilestoneData[];
  /** Seconds. */
  terms?: { payment_window_s: number; inspection_period_s: number };
}

export function readEscrow(wire: WireEscrow): Escrow {
  const amount_minor = minor(wire.amount);
  const paymentStatus = enumName(wire.payment?.status, 'PAYMENT_STATUS_');
  return {
    escrow_id: wire.escrow_id,
    ...readParts(wire),
    version: Number(wire.version ?? 0),
    amount: amount_minor / 100,
    amount_minor,
    currency: wire.amount?.currency ?? 'INR',
    buyer_id: wire.buyer_id ?? '',
    seller_id: wire.seller_id ?? '',
    arbiter_id: wire.arbiter_id ?? '',
    title: wire.title ?? '',
    description: wire.description ?? '',
    payment: {
      status: paymentStatus === '' ? null : (paymentStatus as PaymentStatus),
      order_id: wire.payment?.order_id || null,
      payment_id: wire.payment?.payment_id || null,
    },
    attention: wire.attention ?? '',
    created_at: wire.create_time ?? '',
    updated_at: wire.update_time ?? '',
    milestones: (wire.milestones ?? []).map(readMilestone),
    terms: wire.terms
      ? {
          payment_window_s: parseFloat(wire.terms.payment_window ?? '0'),
          inspection_period_s: parseFloat(wire.terms.inspection_period ?? '0'),
        }
      : undefined,
  };
}

/** Converts an event to the form of the `data` of `escrow_update`. */
export function readEvent(wire: WireEvent): EventData {
  const escrow = readEscrow(wire.escrow ?? { escrow_id: wire.escrow_id });
  return {
    ...escrow,
    version: Number(wire.version),
    event_type: wire.update_type || enumName(wire.type, 'EVENT_TYPE_'),
    actor_id: wire.actor_id ?? '',
    time: wire.create_time ?? '',
    event_data: wire.data ?? {},
    milestone_id: wire.milestone_id ?? '',
  };
}

/** Converts the `data` of a frame to an escrow for the pages. */
export function fromFrame(data: EscrowData): Escrow {
  return { ...data, milestones: data.milestones ?? [] };
}

function readMilestone(wire: WireMilestone): MilestoneData {
  return {
    milestone_id: wire.milestone_id,
    title: wire.title ?? '',
    amount_minor: minor(wire.amount),
    ...readParts(wire),
  };
}

type Parts = MoneyData & {
  status: EscrowStatus;
  confirmations: ConfirmationData[];
  dispute: DisputeData | null;
  settlement: SettlementData | null;
};

function readParts(wire: WireParts): Parts {
  return {
    status: (wire.status ?? '').replace('ESCROW_STATUS_', '') as EscrowStatus,
    held_minor: minor(wire.held),
    released_minor: minor(wire.released),
    refunded_minor: minor(wire.refunded),
    fee_minor: minor(wire.fee),
    confirmations: (wire.confirmations ?? []).map((one) => ({
      party: enumName(one.party, 'PARTY_') as ConfirmationData['party'],
      time: one.time ?? '',
    })),
    dispute: wire.dispute
      ? {
          raised_by: wire.dispute.raised_by ?? '',
          reason: wire.dispute.reason ?? '',
          status: enumName(wire.dispute.status, 'DISPUTE_STATUS_') as DisputeData['status'],
          note: wire.dispute.note ?? '',
        }
      : null,
    settlement: wire.settlement
      ? {
          release_minor: minor(wire.settlement.release),
          refund_minor: minor(wire.settlement.refund),
          fee_minor: minor(wire.settlement.fee),
        }
      : null,
  };
}

function minor(money: WireMoney | null | undefined): number {
  return Number(money?.amount_minor ?? 0);
}

function enumName(name: string | undefined, prefix: string): string {
  const bare = (name ?? '').replace(prefix, '').toLowerCase();
  return bare === 'unspecified' ? '' : bare;
}

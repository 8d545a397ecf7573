/** An escrow of asha, who buys an oak table from ravi, as the tests change it. */
import { readEscrow, readEvent, type Escrow } from '../src/api/wire';
import type { AttentionData, EscrowStatus, EventData, SettlementData } from '../src/services/websocket';

export const WIRE = {
  escrow_id: 'e1',
  buyer_id: 'asha',
  seller_id: 'ravi',
  arbiter_id: 'meera',
  title: 'Oak table',
  amount: { amount_minor: '1250050', currency: 'INR' },
  status: 'ESCROW_STATUS_HELD',
  version: '4',
  held: { amount_minor: '1250050', currency: 'INR' },
  payment: { status: 'PAYMENT_STATUS_CAPTURED', order_id: 'order_1', payment_id: 'pay_1' },
  terms: { payment_window: '259200s', inspection_period: '90s' },
  fee_bps: 250,
  payout: { amount_minor: '1218799', currency: 'INR' },
};

export function escrow(status: EscrowStatus, more: Partial<Escrow> = {}): Escrow {
  return { ...readEscrow(WIRE), status, ...more };
}

export function user(user_id: string, roles = ['user']) {
  return { user_id, roles, expires_at: 0 };
}

export function event(event_type: string, more: Partial<EventData> = {}): EventData {
  const bare = readEvent({ escrow_id: 'e1', version: '5', type: '', escrow: WIRE });
  return { ...bare, event_type, ...more };
}

export function attention(code: string, more: Partial<AttentionData> = {}): AttentionData {
  return { code, message: `The sentence of ${code}.`, since: null, milestone_id: '', ...more };
}

export function settlement(release_minor: number, refund_minor: number, fee_minor = 0): SettlementData {
  return { decided_by: 'meera', note: '', refunded_by: null, release_minor, refund_minor, fee_minor };
}

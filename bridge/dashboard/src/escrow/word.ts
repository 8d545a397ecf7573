/** What the statuses and events of an escrow are called on screen. */
import type { EscrowStatus, EventData } from '../services/websocket';
import { formatMoney } from './money';

export const STATUS_WORDS: Record<EscrowStatus, string> = {
  INITIATED: 'Awaiting payment',
  HELD: 'Held',
  DISPUTED: 'In dispute',
  SETTLING: 'Settling',
  RELEASED: 'Released',
  REFUNDED: 'Refunded',
  SPLIT: 'Split',
  CANCELLED: 'Cancelled',
};

export const STATUSES = Object.keys(STATUS_WORDS) as EscrowStatus[];

const EVENT_WORDS: Record<string, string> = {
  escrow_created: 'Escrow agreed',
  escrow_cancelled: 'Escrow cancelled',
  payment_started: 'Payment started',
  payment_authorized: 'Payment authorised by the bank',
  payment_captured: 'Payment received and held',
  payment_failed: 'Payment attempt failed',
  payment_refunded: 'Refund sent to the buyer',
  funds_held: 'Seller’s share set aside',
  confirmation_added: 'Confirmed',
  dispute_raised: 'Dispute raised',
  dispute_withdrawn: 'Dispute withdrawn',
  dispute_resolved: 'Dispute resolved',
  settlement_started: 'Settlement started',
  settlement_completed: 'Settlement complete',
  settlement_failed: 'Settlement needs help',
  attention_raised: 'Needs attention',
};

const ACTOR_WORDS: Record<string, string> = {
  razorpay: 'Razorpay',
  settlement: 'Holdfast',
  clock: 'the clock',
};

/** A short phrase for an event. An update that a service published has the service's own name. */
export function eventWords(event: EventData): string {
  const words = EVENT_WORDS[event.event_type];
  if (event.event_type === 'confirmation_added') {
    const party = event.event_data?.party;
    return typeof party === 'string' ? `Confirmed by the ${party}` : 'Confirmed';
  }
  return words ?? capital(event.event_type.replaceAll('_', ' '));
}

export function actorWords(actorId: string | undefined): string {
  return ACTOR_WORDS[actorId ?? ''] ?? actorId ?? '';
}

/** The details of an event: its milestone, how the money is divided, a reason, a note. */
export function eventDetail(event: EventData): string {
  const data = event.event_data ?? {};
  const parts: string[] = [];
  if (event.milestone_id) {
    const part = event.milestones?.find((m) => m.milestone_id === event.milestone_id);
    parts.push(part?.title ?? event.milestone_id);
  }
  if (event.event_type === 'dispute_resolved') {
    const [release, refund] = [Number(data.release_minor ?? 0), Number(data.refund_minor ?? 0)];
    parts.push(
      `${formatMoney(release, event.currency)} to the seller, ${formatMoney(refund, event.currency)} back to the buyer`,
    );
  }
  for (const said of [data.reason, data.note]) {
    if (typeof said === 'string' && said) parts.push(`“${said}”`);
  }
  return parts.join(' · ');
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

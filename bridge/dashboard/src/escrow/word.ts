/** What the statuses and events of an escrow are called on screen. */
import type { EscrowStatus, EventData } from '../services/websocket';
import { formatMoney } from './money';
import { feeOn, payoutOfHeld } from './payout';
import { moment } from './time';

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
  settlement_started: 'Decided where the money goes',
  settlement_completed: 'The money has moved',
  settlement_failed: 'The money could not be moved yet',
  settlement_overridden: 'Decided anew',
  attention_raised: 'Somebody has to look at this',
  escrow_accepted: 'Accepted',
  deadline_near: 'A deadline is near',
};

const ACTOR_WORDS: Record<string, string> = {
  razorpay: 'Razorpay',
  settlement: 'Holdfast',
  clock: 'the clock',
};

/** A short phrase for an event. An update that a service published has the service's own name. */
export function eventWords(event: EventData): string {
  return (
    specialWords(event) ??
    EVENT_WORDS[event.event_type] ??
    capital(event.event_type.replaceAll('_', ' '))
  );
}

/** The phrase of an event that depends on what it carries. */
function specialWords(event: EventData): string | undefined {
  const data = event.event_data ?? {};
  const party = data.party === 'buyer' || data.party === 'seller' ? data.party : null;
  switch (event.event_type) {
    case 'confirmation_added':
      return party ? `Confirmed by the ${party}` : 'Confirmed';
    case 'escrow_accepted':
      return party ? `Accepted by the ${party}` : 'Accepted';
    case 'deadline_near':
      return event.deadline_action === 'CANCEL'
        ? 'The time to pay is nearly over'
        : 'The time to inspect is nearly over';
    case 'payment_captured':
      return data.late ? 'Payment received too late; it goes back' : undefined;
    case 'payment_refunded':
      return data.surplus ? 'Payment that could not be used sent back' : undefined;
    case 'attention_raised':
      if (data.payment_id) return 'Payment that cannot be used; it goes back';
      return data.attention ? undefined : 'What somebody had to look at is over';
    default:
      return undefined;
  }
}

export function actorWords(actorId: string | undefined): string {
  return ACTOR_WORDS[actorId ?? ''] ?? actorId ?? '';
}

/** The details of an event: its milestone, how the money is divided, a reason, a note. */
export function eventDetail(event: EventData): string {
  const data = event.event_data ?? {};
  const milestone = event.milestones.find((one) => one.milestone_id === event.milestone_id);
  const parts = [milestone?.title ?? '', deadlineDetail(event), divisionDetail(event)];
  // A failed payment's reason is a code of Razorpay's, and says nothing to people.
  const said = event.event_type === 'payment_failed' ? [] : [data.reason, data.note];
  for (const words of said) {
    if (typeof words === 'string' && words) parts.push(`“${words}”`);
  }
  return parts.filter(Boolean).join(' · ');
}

function deadlineDetail(event: EventData): string {
  if (event.event_type !== 'deadline_near') return '';
  const piece = event.milestones.find((one) => one.milestone_id === event.milestone_id) ?? event;
  if (!piece.deadline) return '';
  const at = moment(piece.deadline);
  if (piece.deadline_action === 'CANCEL') return `Cancelled on ${at} if it is not paid by then`;
  const payout = formatMoney(payoutOfHeld(piece, event.fee_bps), event.currency);
  return event.milestones.length > 0 && piece === event
    ? `Paid out to ${event.seller_id} on ${at} if ${event.buyer_id} says nothing`
    : `${payout} goes to ${event.seller_id} on ${at} if ${event.buyer_id} says nothing`;
}

/** How a verdict divides the money, after the platform's fee. */
function divisionDetail(event: EventData): string {
  if (event.event_type !== 'dispute_resolved' && event.event_type !== 'settlement_overridden') return '';
  const data = event.event_data ?? {};
  const piece = event.milestones.find((one) => one.milestone_id === event.milestone_id) ?? event;
  const [release_minor, refund_minor] = [Number(data.release_minor ?? 0), Number(data.refund_minor ?? 0)];
  const payout_minor = release_minor - feeOn(release_minor, piece, event.fee_bps);
  return `${formatMoney(payout_minor, event.currency)} to ${event.seller_id}, ${formatMoney(refund_minor, event.currency)} back to ${event.buyer_id}`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

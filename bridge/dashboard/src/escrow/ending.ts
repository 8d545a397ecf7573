/** How an escrow ended, and what became of money that went back, in words for each reader. */
import type { EventData, RefundData, ReturnedPaymentData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { formatMoney } from './money';
import { dateOf } from './time';

/** How long a refund takes to the customer's account, by Razorpay's own word. */
const REFUND_TAKES = 'usually 5 to 7 working days';

/** One amount on its way back to the buyer. */
export interface Return {
  key: string;
  text: string;
  refunds: RefundData[];
}

/** How it ended for this reader. Call it with a status that is final. */
export function endingWords(escrow: Escrow, events: EventData[], readerId: string): string {
  switch (escrow.status) {
    case 'RELEASED':
      return `${hasBeen(escrow.seller_id, readerId)} paid ${money(escrow, escrow.released_minor)}.`;
    case 'REFUNDED':
      return refundedWords(escrow, readerId);
    case 'SPLIT':
      return `${got(escrow.seller_id, readerId)} ${money(escrow, escrow.released_minor)}, and ${escrow.buyer_id === readerId ? 'you' : escrow.buyer_id} ${money(escrow, escrow.refunded_minor)} back.`;
    default:
      return cancelledWords(escrow, events, readerId);
  }
}

/** The money that went or goes back to the buyer: refunds of the payment, and payments of no use. */
export function returnsOf(escrow: Escrow, readerId: string): Return[] {
  const returns = escrow.returned_payments.map((one) => returnedPayment(escrow, one, readerId));
  const { refunds } = escrow.payment;
  if (refunds.length > 0) {
    const sum_minor = refunds.reduce((sum, one) => sum + one.amount_minor, 0);
    const text = `${money(escrow, sum_minor)} sent back to ${nameOf(escrow.buyer_id, readerId)}; ${REFUND_TAKES}.`;
    returns.unshift({ key: 'payment', text, refunds });
  }
  return returns;
}

/** What of the payment does not come back: the fee that the customer bore. Empty if nothing does. */
export function keptWords(escrow: Escrow, readerId: string): string {
  const { customer_fee_minor } = escrow.payment;
  if (customer_fee_minor === 0) return '';
  return `${money(escrow, customer_fee_minor)} that ${nameOf(escrow.buyer_id, readerId)} paid on top is Razorpay’s fee for the payment. It is not given back.`;
}

function returnedPayment(escrow: Escrow, one: ReturnedPaymentData, readerId: string): Return {
  const amount = formatMoney(one.amount_minor, one.currency);
  const whose = escrow.buyer_id === readerId ? 'your' : `${escrow.buyer_id}’s`;
  const isSent = one.refunded_minor >= one.amount_minor;
  const where = isSent
    ? `${amount} of ${whose} money were sent back; ${REFUND_TAKES}`
    : `${amount} of ${whose} money are on their way back; ${REFUND_TAKES}`;
  const reason = one.why ? `. The reason: ${one.why}` : '';
  return { key: one.payment_id, text: `${where}${reason}.`, refunds: one.refund ? [one.refund] : [] };
}

function refundedWords(escrow: Escrow, readerId: string): string {
  const amount = money(escrow, escrow.refunded_minor);
  if (escrow.refunded_by === 'bank') {
    return escrow.buyer_id === readerId
      ? `Your bank has given you ${amount} back.`
      : `${escrow.buyer_id}’s bank has taken ${amount} back for ${escrow.buyer_id}.`;
  }
  return escrow.buyer_id === readerId
    ? `Your ${amount} are on their way back, ${REFUND_TAKES}.`
    : `${amount} went back to ${escrow.buyer_id}.`;
}

function cancelledWords(escrow: Escrow, events: EventData[], readerId: string): string {
  const late_minor = escrow.held_minor + escrow.refunded_minor;
  const what = cancellation(events, readerId);
  if (late_minor === 0) return `${what} before it was paid.`;
  const amount = money(escrow, late_minor);
  return escrow.buyer_id === readerId
    ? `${what} while you were paying; your ${amount} are on their way back, ${REFUND_TAKES}.`
    : `${what} while ${escrow.buyer_id} was paying; ${amount} are on their way back to ${escrow.buyer_id}.`;
}

function cancellation(events: EventData[], readerId: string): string {
  const actor = events.find((one) => one.event_type === 'escrow_cancelled')?.actor_id;
  if (actor === 'clock') return 'The time to pay ran out';
  if (!actor) return 'This was called off';
  return `${actor === readerId ? 'You' : actor} called it off`;
}

export interface Detail {
  name: string;
  value: string;
  /** Whether it is a number that people pass on. */
  isNumber: boolean;
}

/** Under which numbers a refund was made, and when. */
export function refundDetails(refund: RefundData): Detail[] {
  const details = [{ name: 'Refund', value: refund.refund_id, isNumber: true }];
  if (refund.bank_reference) {
    details.push({ name: 'Bank reference', value: refund.bank_reference, isNumber: true });
  }
  if (refund.time) details.push({ name: 'Sent', value: dateOf(refund.time), isNumber: false });
  return details;
}

function money(escrow: Escrow, amount_minor: number): string {
  return formatMoney(amount_minor, escrow.currency);
}

function nameOf(userId: string, readerId: string): string {
  return userId === readerId ? 'you' : userId;
}

function hasBeen(userId: string, readerId: string): string {
  return userId === readerId ? 'You have been' : `${userId} has been`;
}

function got(userId: string, readerId: string): string {
  return userId === readerId ? 'You got' : `${userId} got`;
}

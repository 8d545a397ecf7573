/** How an escrow ended, and what became of money that went back, in words for each reader. */
import type { EventData, RefundData, ReturnedPaymentData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { t } from '../words';
import { formatMoney } from './money';
import { called } from './person';
import { whyWords } from './sentence';
import { dateOf } from './time';

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
      return t(escrow.seller_id === readerId ? 'ending.paidYou' : 'ending.paid', {
        seller: called(escrow.seller_id),
        amount: money(escrow, escrow.released_minor),
      });
    case 'REFUNDED':
      return refundedWords(escrow, readerId);
    case 'SPLIT':
      return splitWords(escrow, readerId);
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
    const text = t(isBuyer(escrow, readerId) ? 'ending.sentYou' : 'ending.sent', {
      amount: money(escrow, sum_minor),
      buyer: called(escrow.buyer_id),
      days: t('ending.days'),
    });
    returns.unshift({ key: 'payment', text, refunds });
  }
  return returns;
}

/** What of the payment does not come back: the fee that the customer bore. Empty if nothing does. */
export function keptWords(escrow: Escrow, readerId: string): string {
  const { customer_fee_minor } = escrow.payment;
  if (customer_fee_minor === 0) return '';
  return t(isBuyer(escrow, readerId) ? 'ending.keptYou' : 'ending.kept', {
    amount: money(escrow, customer_fee_minor),
    buyer: called(escrow.buyer_id),
  });
}

function returnedPayment(escrow: Escrow, one: ReturnedPaymentData, readerId: string): Return {
  const said = {
    amount: formatMoney(one.amount_minor, one.currency),
    buyer: called(escrow.buyer_id),
    days: t('ending.days'),
  };
  const isSent = one.refunded_minor >= one.amount_minor;
  const whose = isBuyer(escrow, readerId) ? 'You' : '';
  const words = t(`ending.returned.${isSent ? 'sent' : 'onItsWay'}${whose}`, said);
  const text = one.why
    ? t('ending.returned.reason', { words, why: whyWords(one.why) })
    : t('ending.returned.plain', { words });
  return { key: one.payment_id, text, refunds: one.refund ? [one.refund] : [] };
}

function refundedWords(escrow: Escrow, readerId: string): string {
  const amount = money(escrow, escrow.refunded_minor);
  const how = escrow.refunded_by === 'bank' ? 'bank' : 'refunded';
  const whose = isBuyer(escrow, readerId) ? 'You' : '';
  return t(`ending.${how}${whose}`, { amount, buyer: called(escrow.buyer_id), days: t('ending.days') });
}

function cancelledWords(escrow: Escrow, events: EventData[], readerId: string): string {
  const late_minor = escrow.held_minor + escrow.refunded_minor;
  const actor = events.find((one) => one.event_type === 'escrow_cancelled')?.actor_id ?? '';
  const late = isBuyer(escrow, readerId) ? 'yours' : 'theirs';
  return t(`ending.cancelled.${late_minor === 0 ? 'before' : late}.${byWhom(actor, readerId)}`, {
    who: called(actor),
    buyer: called(escrow.buyer_id),
    amount: money(escrow, late_minor),
    days: t('ending.days'),
  });
}

function byWhom(actor: string, readerId: string) {
  if (actor === 'clock') return 'clock';
  if (!actor) return 'nobody';
  return actor === readerId ? 'you' : 'other';
}

function splitWords(escrow: Escrow, readerId: string): string {
  const said = {
    seller: called(escrow.seller_id),
    payout: money(escrow, escrow.released_minor),
    buyer: called(escrow.buyer_id),
    refund: money(escrow, escrow.refunded_minor),
  };
  if (escrow.seller_id === readerId) return t('ending.splitSeller', said);
  return t(isBuyer(escrow, readerId) ? 'ending.splitBuyer' : 'ending.split', said);
}

export interface Detail {
  name: string;
  value: string;
  /** Whether it is a number that people pass on. */
  isNumber: boolean;
}

/** Under which numbers a refund was made, and when. */
export function refundDetails(refund: RefundData): Detail[] {
  const details = [{ name: t('escrow.return.refund'), value: refund.refund_id, isNumber: true }];
  if (refund.bank_reference) {
    details.push({ name: t('escrow.return.bankReference'), value: refund.bank_reference, isNumber: true });
  }
  if (refund.time) details.push({ name: t('escrow.return.sent'), value: dateOf(refund.time), isNumber: false });
  return details;
}

function money(escrow: Escrow, amount_minor: number): string {
  return formatMoney(amount_minor, escrow.currency);
}

function isBuyer(escrow: Escrow, readerId: string): boolean {
  return escrow.buyer_id === readerId;
}

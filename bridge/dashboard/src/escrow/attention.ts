/**
 * What stands in the way of an escrow, told to each reader in words of their own: what it means for
 * them, and what they can do. Operators get the code and the server's sentence instead.
 */
import type { User } from '../contexts/AuthContext';
import type { AttentionData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { partOf, type Part } from './action';
import { formatMoney } from './money';
import { awaitedPayout, piecesOf } from './payout';

export interface Notice {
  text: string;
  /** For operators only. */
  code?: string;
  /** Whether a button leads to where the user says how to be paid. */
  asksForAccount?: boolean;
}

/** Codes that do not keep the money from moving. */
const HARMLESS = new Set(['SURPLUS_PAYMENT', 'PLATFORM_LOSS']);

/** Whether something keeps the money of this escrow from moving. */
export function isHeldUp(escrow: Escrow): boolean {
  return escrow.attentions.some((one) => !HARMLESS.has(one.code));
}

/**
 * What this user is to know. `hasAccount` is whether they have said how they are paid; undefined if it
 * is not known.
 */
export function noticesFor(escrow: Escrow, user: User, hasAccount?: boolean): Notice[] {
  const part = partOf(escrow, user);
  const operator = user.roles.includes('admin') ? escrow.attentions.map(forOperator(escrow)) : [];
  if (part === 'admin') return operator;
  const told = escrow.attentions.map((one) => noticeOf(one.code, escrow, part));
  if (part === 'seller' && hasAccount === false) told.unshift(askForAccount(escrow));
  const byText = new Map(told.filter((one) => one !== null).map((one) => [one.text, one]));
  return [...byText.values(), ...operator];
}

function forOperator(escrow: Escrow): (item: AttentionData) => Notice {
  return ({ code, message, milestone_id }) => {
    const milestone = escrow.milestones.find((one) => one.milestone_id === milestone_id);
    return { code, text: milestone ? `${milestone.title}: ${message}` : message };
  };
}

function noticeOf(code: string, escrow: Escrow, part: Part): Notice | null {
  switch (code) {
    case 'PAYEE_MISSING':
      return part === 'seller' ? askForAccount(escrow) : sellerHasNoAccount(escrow, part);
    case 'PAYEE_REFUSED':
      return part === 'seller' ? accountRefused(escrow) : sellerCannotBePaid(escrow, part);
    case 'BANK_DISPUTE':
      return { text: bankDisputeWords(escrow, part) };
    case 'GATEWAY_REFUSED':
      return { text: 'Razorpay has not carried this out yet. We are looking into it; you need not do anything.' };
    case 'SURPLUS_PAYMENT': // The page tells of returned payments one by one.
    case 'PLATFORM_LOSS': // It is between the platform and the bank.
      return null;
    default:
      return { text: 'We are checking something with Razorpay before the money moves on. You need not do anything.' };
  }
}

function askForAccount(escrow: Escrow): Notice | null {
  const amount_minor = awaitedPayout(escrow);
  if (amount_minor === 0) return null;
  const amount = formatMoney(amount_minor, escrow.currency);
  const isUnpaid = escrow.status === 'INITIATED';
  const text = `Add where you want to be paid: ${amount} ${isUnpaid ? 'will go there' : 'are waiting'}.`;
  return { text, asksForAccount: true };
}

function accountRefused(escrow: Escrow): Notice {
  const amount = formatMoney(awaitedPayout(escrow), escrow.currency);
  return {
    text: `Razorpay does not pay to your account at present: ${amount} are waiting. Ask Razorpay what is missing, or add another account.`,
    asksForAccount: true,
  };
}

function sellerHasNoAccount(escrow: Escrow, part: Part): Notice {
  return { text: `${doneWords(escrow, part)}${escrow.seller_id} still has to add an account to be paid to.` };
}

function sellerCannotBePaid(escrow: Escrow, part: Part): Notice {
  return {
    text: `${doneWords(escrow, part)}Razorpay does not pay to ${escrow.seller_id}’s account at present, and ${escrow.seller_id} has to see to it.`,
  };
}

function doneWords(escrow: Escrow, part: Part): string {
  const isDecided = piecesOf(escrow).every((piece) => piece.status !== 'HELD');
  return part === 'buyer' && isDecided ? 'Your part is done; ' : '';
}

function bankDisputeWords(escrow: Escrow, part: Part): string {
  const whose = part === 'buyer' ? 'Your' : `${escrow.buyer_id}’s`;
  return `${whose} bank has taken this payment up again. Nothing is paid out until the bank has decided.`;
}

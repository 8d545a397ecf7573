/**
 * What stands in the way of an escrow, told to each reader in words of their own: what it means for
 * them, and what they can do. Operators get the code and the server's sentence instead.
 */
import type { User } from '../contexts/AuthContext';
import type { AttentionData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { t } from '../words';
import { partOf, type Part } from './action';
import { formatMoney } from './money';
import { awaitedPayout, piecesOf } from './payout';
import { called } from './person';
import { sentenceWords } from './sentence';

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
    const words = sentenceWords(message);
    return { code, text: milestone ? t('notice.ofMilestone', { milestone: milestone.title, words }) : words };
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
      return { text: t('notice.gateway') };
    case 'SURPLUS_PAYMENT': // The page tells of returned payments one by one.
    case 'PLATFORM_LOSS': // It is between the platform and the bank.
      return null;
    default:
      return { text: t('notice.checking') };
  }
}

function askForAccount(escrow: Escrow): Notice | null {
  const amount_minor = awaitedPayout(escrow);
  if (amount_minor === 0) return null;
  const amount = formatMoney(amount_minor, escrow.currency);
  const isUnpaid = escrow.status === 'INITIATED';
  const text = t(isUnpaid ? 'notice.askUnpaid' : 'notice.askWaiting', { amount });
  return { text, asksForAccount: true };
}

function accountRefused(escrow: Escrow): Notice {
  const amount = formatMoney(awaitedPayout(escrow), escrow.currency);
  return { text: t('notice.refused', { amount }), asksForAccount: true };
}

function sellerHasNoAccount(escrow: Escrow, part: Part): Notice {
  const key = isDone(escrow, part) ? 'notice.noAccountDone' : 'notice.noAccount';
  return { text: t(key, { seller: called(escrow.seller_id) }) };
}

function sellerCannotBePaid(escrow: Escrow, part: Part): Notice {
  const key = isDone(escrow, part) ? 'notice.cannotBePaidDone' : 'notice.cannotBePaid';
  return { text: t(key, { seller: called(escrow.seller_id) }) };
}

/** Whether the reader is the buyer, who has nothing more to do. */
function isDone(escrow: Escrow, part: Part): boolean {
  return part === 'buyer' && piecesOf(escrow).every((piece) => piece.status !== 'HELD');
}

function bankDisputeWords(escrow: Escrow, part: Part): string {
  return part === 'buyer' ? t('notice.bankYours') : t('notice.bankOther', { buyer: called(escrow.buyer_id) });
}

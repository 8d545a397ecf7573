/** What the clock will do to an escrow, and when, in words for each reader. */
import type { User } from '../contexts/AuthContext';
import type { PieceData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { partOf } from './action';
import { awaitedBy } from './acceptance';
import { formatMoney } from './money';
import { payoutOfHeld } from './payout';
import { moment } from './time';

/** In full, for the page of the escrow; empty while no clock runs. */
export function deadlineWords(escrow: Escrow, piece: PieceData, user: User): string {
  if (!piece.deadline) return '';
  const at = moment(piece.deadline);
  return piece.deadline_action === 'CANCEL'
    ? payWords(escrow, user, at)
    : inspectWords(escrow, piece, user, at);
}

/** In a few words, for a row of the list. */
export function deadlineHint(escrow: Escrow, user: User): string {
  if (!escrow.deadline) return '';
  const at = moment(escrow.deadline);
  const isBuyer = partOf(escrow, user) === 'buyer';
  if (escrow.deadline_action === 'CANCEL') return isBuyer ? `Pay by ${at}` : `To be paid by ${at}`;
  return isBuyer ? `Inspect until ${at}` : `Paid out on ${at}`;
}

function payWords(escrow: Escrow, user: User, at: string): string {
  if (partOf(escrow, user) !== 'buyer') {
    return `${escrow.buyer_id} has until ${at} to pay. After that this escrow is cancelled.`;
  }
  const awaited = awaitedBy(escrow, user);
  return awaited.length > 0
    ? `${awaited.join(' and ')} must accept, and you pay, by ${at}. After that this escrow is cancelled.`
    : `Pay by ${at}. After that this escrow is cancelled.`;
}

function inspectWords(escrow: Escrow, piece: PieceData, user: User, at: string): string {
  const payout = formatMoney(payoutOfHeld(piece, escrow.fee_bps), escrow.currency);
  const { buyer_id, seller_id } = escrow;
  switch (partOf(escrow, user)) {
    case 'buyer':
      return `Inspect until ${at}. If you say nothing, ${payout} goes to ${seller_id}.`;
    case 'seller':
      return `${buyer_id} may inspect until ${at}. If ${buyer_id} says nothing, ${payout} goes to you.`;
    default:
      return `${buyer_id} may inspect until ${at}. If ${buyer_id} says nothing, ${payout} goes to ${seller_id}.`;
  }
}

/** What the clock will do to an escrow, and when, in words for each reader. */
import type { User } from '../contexts/AuthContext';
import type { PieceData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { t } from '../words';
import { partOf } from './action';
import { awaitedBy } from './acceptance';
import { formatMoney } from './money';
import { payoutOfHeld } from './payout';
import { called, listOf } from './person';
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
  if (escrow.deadline_action === 'CANCEL') {
    return t(isBuyer ? 'deadline.hint.pay' : 'deadline.hint.payOther', { at });
  }
  return t(isBuyer ? 'deadline.hint.inspect' : 'deadline.hint.inspectOther', { at });
}

function payWords(escrow: Escrow, user: User, at: string): string {
  if (partOf(escrow, user) !== 'buyer') return t('deadline.payOther', { buyer: called(escrow.buyer_id), at });
  const awaited = awaitedBy(escrow, user);
  return awaited.length > 0
    ? t('deadline.acceptAndPay', { who: listOf(awaited), at })
    : t('deadline.pay', { at });
}

function inspectWords(escrow: Escrow, piece: PieceData, user: User, at: string): string {
  const payout = formatMoney(payoutOfHeld(piece, escrow.fee_bps), escrow.currency);
  const said = { buyer: called(escrow.buyer_id), seller: called(escrow.seller_id), payout, at };
  switch (partOf(escrow, user)) {
    case 'buyer':
      return t('deadline.inspect', said);
    case 'seller':
      return t('deadline.inspectYours', said);
    default:
      return t('deadline.inspectOther', said);
  }
}

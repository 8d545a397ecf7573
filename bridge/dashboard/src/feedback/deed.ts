/** What a command has done, in words for the one who gave it. */
import { readEscrow, type Escrow, type WireEscrow } from '../api/wire';
import { formatMoney } from '../escrow/money';
import { called } from '../escrow/person';
import type { EventData, PieceData } from '../services/websocket';
import { t } from '../words';

interface Deed {
  path: string;
  body: Record<string, unknown>;
}

/** Empty for a command of which nobody need be told, such as the start of a payment. */
export function deedWords({ path, body }: Deed, answer: unknown): string {
  if (path.endsWith('/change:cancel')) return t('feedback.done.payeeKept');
  if (path.startsWith('/api/v1/payees/')) return t('feedback.done.payee');
  const wire = (answer as { escrow?: WireEscrow } | null)?.escrow;
  if (!wire) return '';
  const escrow = readEscrow(wire);
  if (path === '/api/v1/escrows') return t('feedback.done.create', { title: escrow.title });
  const piece = escrow.milestones.find((one) => one.milestone_id === body.milestone_id) ?? escrow;
  if (isMoving(piece)) {
    const end = ends.get(keyOf(escrow, piece));
    if (end && end.version > escrow.version) return movedWords(end, pieceOf(end));
    awaited.add(keyOf(escrow, piece));
  }
  return onEscrow(path.split(':').at(-1) ?? '', escrow, piece);
}

function onEscrow(verb: string, escrow: Escrow, piece: PieceData): string {
  const people = { buyer: called(escrow.buyer_id), seller: called(escrow.seller_id), title: piece.title };
  switch (verb) {
    case 'release':
    case 'refund':
    case 'resolve':
    case 'override':
      return movedWords(escrow, piece);
    case 'confirm':
      // With the second confirmation the money goes.
      return piece.status === 'HELD' ? t('feedback.done.confirm', people) : movedWords(escrow, piece);
    case 'accept':
      return t('feedback.done.accept', people);
    case 'confirmPayment':
      return t('feedback.done.pay', { ...people, amount: money(escrow.amount_minor, escrow) });
    case 'dispute':
      return t('feedback.done.dispute', people);
    case 'withdrawDispute':
      return t('feedback.done.withdraw', people);
    case 'cancel':
      return t('feedback.done.cancel', people);
    default:
      return '';
  }
}

/** Whether money has been decided about, and has not moved. */
function isMoving(piece: PieceData): boolean {
  return piece.status === 'SETTLING';
}

/** What goes to whom, or what went: only what has moved is called paid. */
function movedWords(escrow: Escrow, piece: PieceData): string {
  const { settlement } = piece;
  const payout_minor = settlement ? settlement.release_minor - settlement.fee_minor : piece.released_minor;
  const refund_minor = settlement ? settlement.refund_minor : piece.refunded_minor;
  const said = {
    buyer: called(escrow.buyer_id),
    seller: called(escrow.seller_id),
    payout: money(payout_minor, escrow),
    refund: money(refund_minor, escrow),
  };
  const stage = isMoving(piece) ? 'decided' : 'done';
  if (payout_minor > 0 && refund_minor > 0) return t(`feedback.${stage}.split`, said);
  if (refund_minor > 0) return t(`feedback.${stage}.refund`, said);
  return payout_minor > 0 ? t(`feedback.${stage}.release`, said) : t('feedback.done.done');
}

/** Where the user has decided, and the money has still to move: by escrow and milestone. */
const awaited = new Set<string>();

const keyOf = (escrow: Escrow, piece: PieceData) =>
  `${escrow.escrow_id} ${escrow.milestones.findIndex((one) => one === piece)}`;

/** The settlements that ended last: the event may come before the answer to the command. */
const ends = new Map<string, EventData>();
const ENDS_MAX = 50;

/** What has become of what the user decided in this tab; empty for any other event. */
export function outcomeWords(event: EventData): string {
  if (event.event_type !== 'settlement_completed') return '';
  const piece = pieceOf(event);
  const key = keyOf(event, piece);
  if (awaited.delete(key)) return movedWords(event, piece);
  ends.set(key, event);
  for (const oldest of ends.keys()) {
    if (ends.size <= ENDS_MAX) break;
    ends.delete(oldest);
  }
  return '';
}

function pieceOf(event: EventData): PieceData {
  return event.milestones.find((one) => one.milestone_id === event.milestone_id) ?? event;
}

function money(amount_minor: number, { currency }: Escrow): string {
  return formatMoney(amount_minor, currency);
}

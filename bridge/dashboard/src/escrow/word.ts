/** What the statuses and events of an escrow are called on screen. */
import type { EscrowStatus, EventData } from '../services/websocket';
import { t, wordsFor } from '../words';
import { formatMoney } from './money';
import { feeOn, payoutOfHeld } from './payout';
import { called } from './person';
import { noteWords, reasonWords } from './sentence';
import { moment } from './time';

export const STATUSES: EscrowStatus[] = [
  'INITIATED',
  'HELD',
  'DISPUTED',
  'SETTLING',
  'RELEASED',
  'REFUNDED',
  'SPLIT',
  'CANCELLED',
];

export function statusWords(status: EscrowStatus): string {
  return t(`escrow.status.${status}`);
}

/** A short phrase for an event. An update that a service published has the service's own name. */
export function eventWords(event: EventData): string {
  return (
    specialWords(event) ??
    wordsFor('event.name', event.event_type) ??
    t('event.other', { name: event.event_type.replaceAll('_', ' ') })
  );
}

/** The phrase of an event that depends on what it carries. */
function specialWords(event: EventData): string | undefined {
  const data = event.event_data ?? {};
  const party = data.party === 'buyer' || data.party === 'seller' ? data.party : null;
  switch (event.event_type) {
    case 'confirmation_added':
      return party ? t(`event.confirmedBy.${party}`) : undefined;
    case 'escrow_accepted':
      return party ? t(`event.acceptedBy.${party}`) : undefined;
    case 'deadline_near':
      return t(event.deadline_action === 'CANCEL' ? 'event.payNear' : 'event.inspectNear');
    case 'payment_captured':
      return data.late ? t('event.late') : undefined;
    case 'payment_refunded':
      return data.surplus ? t('event.surplusBack') : undefined;
    case 'attention_raised':
      if (data.payment_id) return t('event.surplus');
      return data.attention ? undefined : t('event.attentionOver');
    default:
      return undefined;
  }
}

export function actorWords(actorId = ''): string {
  return wordsFor('event.actor', actorId) ?? called(actorId);
}

/** The details of an event: its milestone, how the money is divided, a reason, a note. */
export function eventDetail(event: EventData): string {
  const data = event.event_data ?? {};
  const milestone = event.milestones.find((one) => one.milestone_id === event.milestone_id);
  const parts = [milestone?.title ?? '', deadlineDetail(event), divisionDetail(event)];
  if (event.event_type === 'payment_failed') parts.push(failureDetail(data.reason));
  else parts.push(...[data.reason, data.note].map(saidDetail));
  return parts.filter(Boolean).join(' · ');
}

/** Why a payment failed. Its reason is a code of Razorpay's. */
function failureDetail(reason: unknown): string {
  return typeof reason === 'string' && reason ? reasonWords(reason) : '';
}

function saidDetail(words: unknown): string {
  return typeof words === 'string' && words ? t('event.words', { words: noteWords(words) }) : '';
}

function deadlineDetail(event: EventData): string {
  if (event.event_type !== 'deadline_near') return '';
  const piece = event.milestones.find((one) => one.milestone_id === event.milestone_id) ?? event;
  if (!piece.deadline) return '';
  const at = moment(piece.deadline);
  if (piece.deadline_action === 'CANCEL') return t('event.cancelledOn', { at });
  const payout = formatMoney(payoutOfHeld(piece, event.fee_bps), event.currency);
  const said = { at, payout, buyer: called(event.buyer_id), seller: called(event.seller_id) };
  return event.milestones.length > 0 && piece === event
    ? t('event.paidOutOn', said)
    : t('event.goesTo', said);
}

/** How a verdict divides the money, after the platform's fee. */
function divisionDetail(event: EventData): string {
  if (event.event_type !== 'dispute_resolved' && event.event_type !== 'settlement_overridden') return '';
  const data = event.event_data ?? {};
  const piece = event.milestones.find((one) => one.milestone_id === event.milestone_id) ?? event;
  const [release_minor, refund_minor] = [Number(data.release_minor ?? 0), Number(data.refund_minor ?? 0)];
  const payout_minor = release_minor - feeOn(release_minor, piece, event.fee_bps);
  return t('event.division', {
    payout: formatMoney(payout_minor, event.currency),
    seller: called(event.seller_id),
    refund: formatMoney(refund_minor, event.currency),
    buyer: called(event.buyer_id),
  });
}

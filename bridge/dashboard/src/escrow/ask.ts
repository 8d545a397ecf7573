/** The text of the dialog that confirms an action, and the command that the action sends. */
import type { Escrow } from '../api/wire';
import type { Command } from '../api/command';
import { commandPath } from '../api/command';
import type { MilestoneData, PieceData } from '../services/websocket';
import { t } from '../words';
import { isSellerAbsent, missingOf } from './acceptance';
import type { Action, Verb } from './action';
import { formatMoney } from './money';
import { feeOn, payoutWords } from './payout';
import { called } from './person';
import { span } from './time';

export interface Ask {
  /** The button that opens the dialog. */
  label: string;
  title: string;
  /** Paragraphs. */
  text: string[];
  /** The button that does it. */
  deed: string;
  /** The text field, if there is one: its name in the request, and its label. */
  words?: { field: 'reason' | 'note'; label: string; isRequired: boolean; max: number };
}

const NOTE_MAX = 1000;
const REASON_MAX = 2000;

/** `pay`, `resolve` and `override` have dialogs of their own. */
export type AskedVerb = Exclude<Verb, 'pay' | 'resolve' | 'override'>;

/** What is asked of this reader before the action is done. */
export function askFor(
  verb: AskedVerb,
  escrow: Escrow,
  { milestone }: Action,
  readerId: string,
): Ask {
  return ASKS[verb]({ escrow, milestone, piece: milestone ?? escrow, readerId });
}

interface About {
  escrow: Escrow;
  milestone?: MilestoneData;
  piece: PieceData;
  readerId: string;
}

const ASKS: Record<AskedVerb, (about: About) => Ask> = {
  accept: ({ escrow, readerId }) => ({
    label: t('action.accept.label'),
    title: t('action.accept.title'),
    text: [termsWords(escrow, readerId), escrow.description].filter(Boolean),
    deed: t('action.accept.label'),
  }),
  confirm: (about) =>
    about.escrow.buyer_id === about.readerId ? received(about) : delivered(about),
  release: (about) => ({
    label: t('action.release.label', { seller: called(about.escrow.seller_id) }),
    title: t('action.release.title', { seller: called(about.escrow.seller_id) }),
    text: [t('action.release.text', { payout: payoutOf(about), what: whatOf(about) })],
    deed: t('action.release.deed', { held: heldIn(about) }),
    words: note(),
  }),
  refund: (about) => (isOwnMoney(about) ? takeBack(about) : giveBack(about)),
  dispute: ({ escrow: { arbiter_id } }) => ({
    label: t('action.dispute.label'),
    title: t('action.dispute.title'),
    text: [
      arbiter_id ? t('action.dispute.text', { who: called(arbiter_id) }) : t('action.dispute.textAdmin'),
    ],
    deed: t('action.dispute.deed'),
    words: { field: 'reason', label: t('action.dispute.reason'), isRequired: true, max: REASON_MAX },
  }),
  withdrawDispute: (about) => ({
    label: t('action.withdraw.label'),
    title: t('action.withdraw.title'),
    text: [t('action.withdraw.text', { held: heldIn(about) })],
    deed: t('action.withdraw.deed'),
  }),
  cancel: ({ escrow, readerId }) => {
    const how = missingOf(escrow).includes(readerId) ? 'decline' : 'cancel';
    return {
      label: t(`action.${how}.label`),
      title: t(`action.${how}.title`),
      text: [t('action.cancel.text')],
      deed: t(`action.${how}.deed`),
      words: note(),
    };
  },
};

/** The buyer's confirmation: it pays the seller, or is the first half of doing so. */
function received(about: About): Ask {
  const { escrow, milestone, piece } = about;
  const said = { seller: called(escrow.seller_id), payout: payoutOf(about) };
  return {
    label: t('action.confirm.buyer.label'),
    title: t('action.confirm.buyer.title', said),
    text: [
      milestone
        ? t('action.confirm.buyer.doneOf', { milestone: milestone.title })
        : t('action.confirm.buyer.done'),
      t(hasConfirmed(piece, 'seller') ? 'action.confirm.buyer.last' : 'action.confirm.buyer.first', said),
    ],
    deed: t('action.confirm.buyer.deed', said),
  };
}

/** The seller's confirmation: from it on the buyer has the time to inspect. */
function delivered(about: About): Ask {
  const { escrow, milestone, piece } = about;
  const said = {
    buyer: called(escrow.buyer_id),
    payout: payoutOf(about),
    inspect: span(escrow.terms.inspection_period_s),
  };
  return {
    label: t('action.confirm.seller.label'),
    title: t('action.confirm.seller.title'),
    text: [
      milestone
        ? t('action.confirm.seller.doneOf', { milestone: milestone.title })
        : t('action.confirm.seller.done'),
      t(hasConfirmed(piece, 'buyer') ? 'action.confirm.seller.last' : 'action.confirm.seller.first', said),
    ],
    deed: t('action.confirm.seller.deed'),
  };
}

function takeBack(about: About): Ask {
  const said = { seller: called(about.escrow.seller_id), held: heldIn(about) };
  return {
    label: t('action.takeBack.label'),
    title: t('action.takeBack.title', said),
    text: [t('action.takeBack.text', said), keptOf(about)].filter(Boolean),
    deed: t('action.takeBack.deed', said),
    words: note(),
  };
}

function giveBack(about: About): Ask {
  const said = { buyer: called(about.escrow.buyer_id), held: heldIn(about), what: whatOf(about) };
  return {
    label: t('action.giveBack.label'),
    title: t('action.giveBack.title', said),
    text: [t('action.giveBack.text', said), keptOf(about)].filter(Boolean),
    deed: t('action.giveBack.deed', said),
    words: note(),
  };
}

function note(): Ask['words'] {
  return { field: 'note', label: t('action.note'), isRequired: false, max: NOTE_MAX };
}

function hasConfirmed(piece: PieceData, party: 'buyer' | 'seller'): boolean {
  return piece.confirmations.some((one) => one.party === party);
}

function isOwnMoney({ escrow, readerId }: About): boolean {
  return escrow.buyer_id === readerId && isSellerAbsent(escrow);
}

/** What of the payment a refund does not bring back; empty if it brings back all. */
function keptOf({ escrow }: About): string {
  const { customer_fee_minor } = escrow.payment;
  if (customer_fee_minor === 0) return '';
  return t('action.keptFee', { fee: formatMoney(customer_fee_minor, escrow.currency) });
}

function whatOf({ milestone }: About): string {
  return milestone ? t('action.quoted', { title: milestone.title }) : t('action.thisEscrow');
}

function heldIn({ escrow, piece }: About): string {
  return formatMoney(piece.held_minor, escrow.currency);
}

function payoutOf({ escrow, piece, readerId }: About): string {
  const fee_minor = feeOn(piece.held_minor, piece, escrow.fee_bps);
  return payoutWords(escrow.seller_id, readerId, piece.held_minor, fee_minor, escrow.currency);
}

function termsWords(escrow: Escrow, readerId: string): string {
  const { terms } = escrow;
  return t('action.accept.terms', {
    deal: dealWords(escrow, readerId),
    buyer: called(escrow.buyer_id),
    pay: span(terms.payment_window_s),
    inspect: span(terms.inspection_period_s),
  });
}

function dealWords(escrow: Escrow, readerId: string): string {
  const { amount_minor, payout_minor, seller_id, currency } = escrow;
  const said = {
    title: escrow.title,
    buyer: called(escrow.buyer_id),
    seller: called(seller_id),
    price: formatMoney(amount_minor, currency),
    payout: payoutWords(seller_id, readerId, amount_minor, amount_minor - payout_minor, currency),
  };
  return t(escrow.buyer_id === readerId ? 'action.accept.buyer' : 'action.accept.seller', said);
}

export function commandFor(
  verb: Verb,
  escrow: Escrow,
  action: Action,
  fields: Record<string, unknown>,
): Command {
  const milestone = action.milestone ? { milestone_id: action.milestone.milestone_id } : {};
  return { path: commandPath(escrow.escrow_id, verb), body: { ...fields, ...milestone } };
}

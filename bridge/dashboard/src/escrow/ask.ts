/** The text of the dialog that confirms an action, and the command that the action sends. */
import type { Escrow } from '../api/wire';
import type { Command } from '../api/command';
import { commandPath } from '../api/command';
import type { PieceData } from '../services/websocket';
import { isSellerAbsent, missingOf } from './acceptance';
import type { Action, Verb } from './action';
import { formatMoney } from './money';
import { feeOn, gets, payoutWords } from './payout';
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

const note = { field: 'note', label: 'Note (optional)', isRequired: false, max: NOTE_MAX } as const;

/** `pay`, `resolve` and `override` have dialogs of their own. */
export type AskedVerb = Exclude<Verb, 'pay' | 'resolve' | 'override'>;

/** What is asked of this reader before the action is done. */
export function askFor(
  verb: AskedVerb,
  escrow: Escrow,
  { milestone }: Action,
  readerId: string,
): Ask {
  const about: About = {
    escrow,
    piece: milestone ?? escrow,
    what: milestone ? `“${milestone.title}”` : 'this escrow',
    readerId,
  };
  return ASKS[verb](about);
}

interface About {
  escrow: Escrow;
  piece: PieceData;
  what: string;
  readerId: string;
}

const ASKS: Record<AskedVerb, (about: About) => Ask> = {
  accept: ({ escrow, readerId }) => ({
    label: 'Accept',
    title: 'Accept what was agreed',
    text: [`${dealWords(escrow, readerId)} ${termsWords(escrow)}`, escrow.description].filter(Boolean),
    deed: 'Accept',
  }),
  confirm: (about) => ({
    label: 'Confirm',
    title: 'Confirm that all is done',
    text: [
      `You confirm that your side of ${about.what} is done.`,
      `When both of you have confirmed, ${payoutOf(about)}.`,
    ],
    deed: 'Confirm',
  }),
  release: (about) => ({
    label: 'Release',
    title: `Release ${heldIn(about)}`,
    text: [
      `${payoutOf(about, 'You')}. It is paid for ${about.what} at once, without waiting for confirmations. This cannot be undone.`,
    ],
    deed: `Release ${heldIn(about)}`,
    words: note,
  }),
  refund: (about) => (isOwnMoney(about) ? takeBack(about) : giveBack(about)),
  dispute: ({ escrow }) => ({
    label: 'Dispute',
    title: 'Raise a dispute',
    text: [
      `The money stays where it is until ${escrow.arbiter_id || 'an administrator'} decides, or you withdraw.`,
    ],
    deed: 'Raise the dispute',
    words: { field: 'reason', label: 'What is wrong?', isRequired: true, max: REASON_MAX },
  }),
  withdrawDispute: (about) => ({
    label: 'Withdraw dispute',
    title: 'Withdraw the dispute',
    text: [`${heldIn(about)} stays held, and both of you can go on as before.`],
    deed: 'Withdraw it',
  }),
  cancel: ({ escrow, readerId }) => {
    const isInvited = missingOf(escrow).includes(readerId);
    return {
      label: isInvited ? 'Decline' : 'Cancel',
      title: isInvited ? 'Decline this escrow' : 'Cancel this escrow',
      text: ['Nothing has been paid. A payment that still arrives is refunded in full.'],
      deed: isInvited ? 'Decline the escrow' : 'Cancel the escrow',
      words: note,
    };
  },
};

function takeBack(about: About): Ask {
  return {
    label: 'Take my money back',
    title: `Take ${heldIn(about)} back`,
    text: [
      `${about.escrow.seller_id} has not accepted. You get back what is held, and this escrow ends.${keptOf(about)}`,
    ],
    deed: `Take ${heldIn(about)} back`,
    words: note,
  };
}

function giveBack(about: About): Ask {
  const { escrow, what } = about;
  return {
    label: 'Refund',
    title: `Refund ${heldIn(about)}`,
    text: [`${escrow.buyer_id} gets back what is held for ${what}. This cannot be undone.${keptOf(about)}`],
    deed: `Refund ${heldIn(about)}`,
    words: note,
  };
}

function isOwnMoney({ escrow, readerId }: About): boolean {
  return escrow.buyer_id === readerId && isSellerAbsent(escrow);
}

/** What of the payment a refund does not bring back. */
function keptOf({ escrow }: About): string {
  const { customer_fee_minor } = escrow.payment;
  if (customer_fee_minor === 0) return '';
  return ` ${formatMoney(customer_fee_minor, escrow.currency)} that was paid on top is Razorpay’s fee, and is not given back.`;
}

function heldIn({ escrow, piece }: About): string {
  return formatMoney(piece.held_minor, escrow.currency);
}

function payoutOf({ escrow, piece, readerId }: About, you = 'you'): string {
  const fee_minor = feeOn(piece.held_minor, piece, escrow.fee_bps);
  const whoGets = gets(escrow.seller_id, readerId, you);
  return payoutWords(whoGets, piece.held_minor, fee_minor, escrow.currency);
}

function dealWords(escrow: Escrow, readerId: string): string {
  const price = formatMoney(escrow.amount_minor, escrow.currency);
  const fee_minor = escrow.amount_minor - escrow.payout_minor;
  const payout = payoutWords(
    gets(escrow.seller_id, readerId, 'You'),
    escrow.amount_minor,
    fee_minor,
    escrow.currency,
  );
  const deal =
    escrow.buyer_id === readerId
      ? `You buy “${escrow.title}” from ${escrow.seller_id} for ${price}`
      : `You sell “${escrow.title}” to ${escrow.buyer_id} for ${price}`;
  return `${deal}. ${payout}.`;
}

function termsWords({ buyer_id, terms }: Escrow): string {
  return `${buyer_id} has ${span(terms.payment_window_s)} to pay, and ${span(terms.inspection_period_s)} to inspect once the seller has confirmed.`;
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

/** What is happening to an escrow and whose turn it is, in one or two sentences for each reader. */
import type { User } from '../contexts/AuthContext';
import type { EventData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { awaitedBy, isSellerAbsent, missingOf } from './acceptance';
import { partOf, type Part } from './action';
import { isHeldUp } from './attention';
import { endingWords } from './ending';
import { formatMoney } from './money';
import { gets } from './payout';

interface Reading {
  /** The events so far: who called an escrow off stands only there. */
  events: EventData[];
  /** Whether the user has said how they are paid; undefined if it is not known. */
  hasAccount?: boolean;
}

export function situation(escrow: Escrow, user: User, { events, hasAccount }: Reading): string {
  const part = partOf(escrow, user);
  switch (escrow.status) {
    case 'INITIATED':
      return unpaid(escrow, user, part);
    case 'HELD':
      return held(escrow, user, part);
    case 'DISPUTED':
      return part === 'arbiter'
        ? 'Both sides wait for your decision.'
        : `The money stays held until ${escrow.arbiter_id || 'an administrator'} decides.`;
    case 'SETTLING':
      return settling(escrow, user, part === 'seller' && hasAccount === false);
    default:
      return endingWords(escrow, events, user.user_id);
  }
}

function unpaid(escrow: Escrow, user: User, part: Part): string {
  const awaited = awaitedBy(escrow, user);
  if (missingOf(escrow).includes(user.user_id)) {
    return part === 'buyer'
      ? `${creator(escrow)} asks you to pay for this. The money is held until you both confirm.`
      : `${creator(escrow)} has agreed this with you. Look at the terms, and accept.`;
  }
  if (awaited.length > 0) {
    return `Waiting for ${awaited.join(' and ')} to accept.`;
  }
  return part === 'buyer'
    ? 'Pay, and the money is held until you both confirm.'
    : `Waiting for ${escrow.buyer_id} to pay.`;
}

function creator(escrow: Escrow): string {
  const isParty = [escrow.buyer_id, escrow.seller_id].includes(escrow.created_by ?? '');
  return isParty && escrow.created_by ? escrow.created_by : 'Somebody';
}

function held(escrow: Escrow, user: User, part: Part): string {
  if (part === 'buyer' && isSellerAbsent(escrow)) {
    return `The money is held. ${escrow.seller_id} has not accepted yet; until then you can take it back.`;
  }
  if (missingOf(escrow).includes(user.user_id) && escrow.confirmations.length === 0) {
    return `${escrow.buyer_id} has paid, and the money is held. Accept, so that ${escrow.buyer_id} knows that you are there.`;
  }
  if (escrow.milestones.length > 0) return 'The money is held. Each milestone is settled separately.';
  const confirmed = escrow.confirmations.map((one) => one.party as string);
  const missing = (['buyer', 'seller'] as const).filter((one) => !confirmed.includes(one));
  if (missing.includes(part as 'buyer' | 'seller')) {
    return confirmed.length > 0
      ? 'The money is held. The other side has confirmed; now it is up to you.'
      : 'The money is held. Confirm when your side is done.';
  }
  const names = missing.map((one) => (one === 'buyer' ? escrow.buyer_id : escrow.seller_id));
  return `The money is held. Waiting for ${names.join(' and ')} to confirm.`;
}

function settling(escrow: Escrow, user: User, isWaitingForAccount: boolean): string {
  const decided = decision(escrow, user);
  if (!isHeldUp(escrow) && !isWaitingForAccount) return `${decided} Razorpay is moving the money now.`;
  return escrow.milestones.length > 0
    ? `${decided} Not all of the money has moved yet.`
    : `${decided} The money has not moved yet.`;
}

/** Who gets how much of what is settling. */
function decision(escrow: Escrow, user: User): string {
  if (escrow.milestones.length > 0 || !escrow.settlement) return 'Decided.';
  const { release_minor, refund_minor, fee_minor } = escrow.settlement;
  const shares = [
    { who: escrow.seller_id, amount_minor: release_minor - fee_minor },
    { who: escrow.buyer_id, amount_minor: refund_minor },
  ].filter(({ amount_minor }) => amount_minor > 0);
  const words = shares.map(
    ({ who, amount_minor }) =>
      `${gets(who, user.user_id)} ${formatMoney(amount_minor, escrow.currency)}`,
  );
  return `Decided: ${words.join(', ')}.`;
}

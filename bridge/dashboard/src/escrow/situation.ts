/** What is happening to an escrow and whose turn it is, in one or two sentences for each reader. */
import type { User } from '../contexts/AuthContext';
import type { EventData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { t } from '../words';
import { awaitedBy, isSellerAbsent, missingOf } from './acceptance';
import { partOf, type Part } from './action';
import { isHeldUp } from './attention';
import { endingWords } from './ending';
import { formatMoney } from './money';
import { called, listOf } from './person';

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
      return disputed(escrow, part);
    case 'SETTLING':
      return settling(escrow, user, part === 'seller' && hasAccount === false);
    default:
      return endingWords(escrow, events, user.user_id);
  }
}

function unpaid(escrow: Escrow, user: User, part: Part): string {
  const awaited = awaitedBy(escrow, user);
  if (missingOf(escrow).includes(user.user_id)) return asked(escrow, part);
  if (awaited.length > 0) return t('situation.waitAccept', { who: listOf(awaited) });
  return part === 'buyer' ? t('situation.pay') : t('situation.waitPay', { buyer: called(escrow.buyer_id) });
}

function asked(escrow: Escrow, part: Part): string {
  const who = called(creator(escrow));
  if (part === 'buyer') {
    return who ? t('situation.askedToPay', { who }) : t('situation.askedToPayBySomebody');
  }
  return who ? t('situation.askedToAccept', { who }) : t('situation.askedToAcceptBySomebody');
}

/** The party that created it; empty if it was somebody else. */
function creator(escrow: Escrow): string {
  const { created_by, buyer_id, seller_id } = escrow;
  return created_by && [buyer_id, seller_id].includes(created_by) ? created_by : '';
}

function held(escrow: Escrow, user: User, part: Part): string {
  const { buyer_id: buyer, seller_id: seller } = escrow;
  if (part === 'buyer' && isSellerAbsent(escrow)) return t('situation.sellerAbsent', { seller: called(seller) });
  if (missingOf(escrow).includes(user.user_id) && escrow.confirmations.length === 0) {
    return t('situation.acceptPaid', { buyer: called(buyer) });
  }
  if (escrow.milestones.length > 0) return t('situation.milestones');
  const confirmed = escrow.confirmations.map((one) => one.party);
  const missing = (['buyer', 'seller'] as const).filter((one) => !confirmed.includes(one));
  if ((part === 'buyer' || part === 'seller') && missing.includes(part)) {
    return t(confirmed.length > 0 ? 'situation.otherConfirmed' : `situation.${part}`);
  }
  return t('situation.waitConfirm', {
    who: listOf(missing.map((one) => (one === 'buyer' ? buyer : seller))),
  });
}

function disputed(escrow: Escrow, part: Part): string {
  if (part === 'arbiter') return t('situation.decide');
  return escrow.arbiter_id
    ? t('situation.disputed', { who: called(escrow.arbiter_id) })
    : t('situation.disputedByAdmin');
}

function settling(escrow: Escrow, user: User, isWaitingForAccount: boolean): string {
  const decided = decision(escrow, user);
  if (!isHeldUp(escrow) && !isWaitingForAccount) return t('situation.moving', { decided });
  return t(escrow.milestones.length > 0 ? 'situation.notAllMoved' : 'situation.notMoved', { decided });
}

/** Who gets how much of what is settling. */
function decision(escrow: Escrow, user: User): string {
  if (escrow.milestones.length > 0 || !escrow.settlement) return t('situation.decided');
  const { release_minor, refund_minor, fee_minor } = escrow.settlement;
  const shares = [
    { who: escrow.seller_id, amount_minor: release_minor - fee_minor },
    { who: escrow.buyer_id, amount_minor: refund_minor },
  ].filter(({ amount_minor }) => amount_minor > 0);
  const words = shares.map(({ who, amount_minor }) => {
    const amount = formatMoney(amount_minor, escrow.currency);
    return who === user.user_id
      ? t('situation.youGet', { amount })
      : t('money.payout.other', { seller: called(who), amount });
  });
  return t('situation.decidedShares', { shares: words.join(', ') });
}

/**
 * What a user may do with an escrow now. This repeats the server's rules, only to offer the right
 * buttons: the server decides.
 */
import type { User } from '../contexts/AuthContext';
import type { MilestoneData, PieceData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { t } from '../words';
import { awaitedBy, isSellerAbsent, missingOf } from './acceptance';

export type Verb =
  | 'accept'
  | 'pay'
  | 'confirm'
  | 'release'
  | 'refund'
  | 'dispute'
  | 'withdrawDispute'
  | 'resolve'
  | 'override'
  | 'cancel';

export interface Action {
  verb: Verb;
  /** The milestone that the action is for; undefined for the whole escrow. */
  milestone?: MilestoneData;
}

export type Part = 'buyer' | 'seller' | 'arbiter' | 'admin' | 'onlooker';

/** The part that a user has in an escrow. */
export function partOf(escrow: Escrow, user: User): Part {
  if (user.user_id === escrow.buyer_id) return 'buyer';
  if (user.user_id === escrow.seller_id) return 'seller';
  if (user.user_id === escrow.arbiter_id) return 'arbiter';
  return user.roles.includes('admin') ? 'admin' : 'onlooker';
}

/** The actions that the user may take, the likeliest first. */
export function actionsOf(escrow: Escrow, user: User): Action[] {
  if (escrow.status === 'INITIATED') return beforePayment(escrow, user);
  const pieces: Action[] =
    escrow.milestones.length > 0
      ? escrow.milestones.flatMap((milestone) =>
          onPiece(escrow, milestone, user).map((verb) => ({ verb, milestone })),
        )
      : onPiece(escrow, escrow, user).map((verb) => ({ verb }));
  return [...invitation(escrow, user), ...pieces, ...wayBack(escrow, user)];
}

/** What the escrow waits for the user to do, in a few words; empty if it is not their turn. */
export function turnOf(escrow: Escrow, user: User): string {
  const verbs = new Set(actionsOf(escrow, user).map((action) => action.verb));
  const part = partOf(escrow, user);
  const needsAccount = escrow.attentions.some((one) => one.code.startsWith('PAYEE_'));
  if (verbs.has('pay')) return t('situation.turn.pay');
  if (verbs.has('resolve') && part === 'arbiter') return t('situation.turn.decide');
  if (verbs.has('accept')) return t('situation.turn.accept');
  if (part === 'seller' && needsAccount) return t('situation.turn.account');
  if (verbs.has('confirm')) return t('situation.turn.confirm');
  return '';
}

function beforePayment(escrow: Escrow, user: User): Action[] {
  const part = partOf(escrow, user);
  const verbs: Verb[] = [];
  if (part === 'buyer' && awaitedBy(escrow, user).length === 0) verbs.push('pay');
  if (missingOf(escrow).includes(user.user_id)) verbs.push('accept');
  if (part === 'buyer' || part === 'seller' || user.roles.includes('admin')) verbs.push('cancel');
  return verbs.map((verb) => ({ verb }));
}

/** A paid escrow may still wait to be accepted. */
function invitation(escrow: Escrow, user: User): Action[] {
  const isInvited = escrow.status === 'HELD' && missingOf(escrow).includes(user.user_id);
  return isInvited ? [{ verb: 'accept' }] : [];
}

/** While the seller is not there, the buyer may take back all that is held. */
function wayBack(escrow: Escrow, user: User): Action[] {
  const isAlone = partOf(escrow, user) === 'buyer' && isSellerAbsent(escrow);
  return hasHeld(escrow) && isAlone ? [{ verb: 'refund' }] : [];
}

function hasHeld(escrow: Escrow): boolean {
  return [escrow, ...escrow.milestones].some((piece) => piece.status === 'HELD');
}

function onPiece(escrow: Escrow, piece: PieceData, user: User): Verb[] {
  const part = partOf(escrow, user);
  const isAdmin = user.roles.includes('admin');
  const isTrading = part === 'buyer' || part === 'seller';
  if (piece.status === 'HELD') {
    const verbs: Verb[] = [];
    if (isTrading && !piece.confirmations.some((one) => one.party === part)) verbs.push('confirm');
    if (part === 'buyer' || isAdmin) verbs.push('release');
    if (part === 'seller' || isAdmin) verbs.push('refund');
    if (isTrading) verbs.push('dispute');
    return verbs;
  }
  if (piece.status === 'DISPUTED') {
    const verbs: Verb[] = [];
    if (part === 'arbiter' || isAdmin) verbs.push('resolve');
    if (piece.dispute?.raised_by === user.user_id) verbs.push('withdrawDispute');
    return verbs;
  }
  return piece.status === 'SETTLING' && isAdmin ? onSettling(escrow, piece) : [];
}

/** An admin may try again what is stuck, in the direction that was decided, or decide anew. */
function onSettling(escrow: Escrow, piece: PieceData): Verb[] {
  const verbs: Verb[] = [];
  if (escrow.attentions.length > 0 && piece.settlement) {
    verbs.push(piece.settlement.release_minor > 0 ? 'release' : 'refund');
  }
  return mayDivideAnew(escrow, piece) ? [...verbs, 'override'] : verbs;
}

/** Whether what is settling may be divided anew: until some of it has been refunded. */
export function mayDivideAnew(escrow: Escrow, piece: PieceData): boolean {
  if (piece.status !== 'SETTLING' || piece.settlement?.refunded_by) return false;
  // What the bank took of it earlier is no refund of ours.
  return piece.refunded_minor === 0 || escrow.payment.refunds.length === 0;
}

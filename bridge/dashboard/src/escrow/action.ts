/**
 * What a user may do with an escrow now. This repeats the server's rules, only to offer the right
 * buttons: the server decides.
 */
import type { User } from '../contexts/AuthContext';
import type { MilestoneData } from '../services/websocket';
import type { Escrow } from '../api/wire';

export type Verb =
  | 'pay'
  | 'confirm'
  | 'release'
  | 'refund'
  | 'dispute'
  | 'withdrawDispute'
  | 'resolve'
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
  const part = partOf(escrow, user);
  const isAdmin = user.roles.includes('admin');
  if (escrow.status === 'INITIATED') return beforePayment(part, isAdmin);
  if (escrow.milestones.length > 0) {
    return escrow.milestones.flatMap((milestone) =>
      held(escrow, milestone, user, part).map((verb) => ({ verb, milestone })),
    );
  }
  return held(escrow, escrow, user, part).map((verb) => ({ verb }));
}

/** What the escrow waits for the user to do, in a few words; empty if it is not their turn. */
export function turnOf(escrow: Escrow, user: User): string {
  const verbs = new Set(actionsOf(escrow, user).map((action) => action.verb));
  if (verbs.has('pay')) return 'Your turn to pay';
  if (verbs.has('resolve') && partOf(escrow, user) === 'arbiter') return 'Your turn to decide';
  if (verbs.has('confirm')) return 'Your turn to confirm';
  return '';
}

function beforePayment(part: Part, isAdmin: boolean): Action[] {
  if (part === 'buyer') return [{ verb: 'pay' }, { verb: 'cancel' }];
  return part === 'seller' || isAdmin ? [{ verb: 'cancel' }] : [];
}

type Piece = Pick<Escrow, 'status' | 'confirmations' | 'dispute'>;

function held(escrow: Escrow, piece: Piece, user: User, part: Part): Verb[] {
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
  const isStuck = piece.status === 'SETTLING' && escrow.attention !== '' && isAdmin;
  return isStuck ? ['release', 'refund'] : [];
}

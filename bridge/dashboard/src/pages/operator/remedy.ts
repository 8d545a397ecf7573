/**
 * What helps an escrow that needs a person. It repeats the law only so that no button is offered which
 * is always refused: core decides.
 */
import type { Escrow } from '../../api/wire';
import { mayDivideAnew } from '../../escrow/action';
import { piecesOf } from '../../escrow/payout';
import type { AttentionData, PieceData, MilestoneData } from '../../services/websocket';

/**
 * - retry: settlement goes on as was decided, or what failed is tried again
 * - compare: Razorpay and the record are compared again
 * - override: the money is divided anew
 * - bear: settlement goes on as was decided beside a refund by hand, which the platform bears
 * - account: the seller needs an account that Razorpay pays
 * - look: a person decides on the page of the escrow, or at Razorpay
 * - wait: it ends by itself
 * - know: it stays on record, and nothing is left to do
 */
export type Remedy = 'retry' | 'compare' | 'override' | 'bear' | 'account' | 'look' | 'wait' | 'know';

export function remedyFor(escrow: Escrow, item: AttentionData): Remedy {
  const settling = settlingOf(escrow, item);
  switch (item.code) {
    case 'GATEWAY_REFUSED':
      return 'retry';
    case 'FOREIGN_TRANSFER': // Before a decision, releasing or refunding it is the answer.
      return settling.length > 0 ? 'retry' : 'look';
    case 'FOREIGN_REFUND':
      if (settling.some((one) => mayDivideAnew(escrow, one) && mayGiveMore(escrow, one))) return 'override';
      return isStuckAsDecided(escrow) ? 'bear' : 'look';
    case 'PAYEE_REFUSED':
    case 'PAYEE_MISSING':
      return 'account';
    case 'BOOKS_DIFFER':
      return 'compare';
    case 'PLATFORM_LOSS':
      return 'know';
    case 'SURPLUS_PAYMENT':
      return 'wait';
    default:
      return 'look';
  }
}

/** What the money of an item is divided anew by; undefined for an escrow without milestones. */
export function milestoneToDivide(escrow: Escrow, item: AttentionData): MilestoneData | undefined {
  return settlingOf(escrow, item).find(
    (one): one is MilestoneData => 'milestone_id' in one && mayDivideAnew(escrow, one),
  );
}

/** Whether the seller is still to be paid, and nothing can be decided anew. */
function isStuckAsDecided(escrow: Escrow): boolean {
  const pieces = piecesOf(escrow);
  const waits = pieces.some((one) => one.status === 'SETTLING' && (one.settlement?.release_minor ?? 0) > 0);
  return waits && !pieces.some((one) => mayGiveMore(escrow, one));
}

/** Whether the buyer could still get more of it than is decided. */
function mayGiveMore(escrow: Escrow, piece: PieceData): boolean {
  if (!piece.settlement) return piece.held_minor > 0;
  return mayDivideAnew(escrow, piece) && piece.settlement.release_minor > 0;
}

function settlingOf(escrow: Escrow, { milestone_id }: AttentionData): PieceData[] {
  return piecesOf(escrow).filter(
    (one) =>
      one.status === 'SETTLING' &&
      (!milestone_id || ('milestone_id' in one && one.milestone_id === milestone_id)),
  );
}

/** Whether the side that did not create an escrow stands behind it. The server has the same rules. */
import type { User } from '../contexts/AuthContext';
import type { Escrow } from '../api/wire';

/** The parties that have neither created the escrow nor accepted it. */
export function missingOf(escrow: Escrow): string[] {
  // Of an escrow from before creators were recorded, nobody is known to be missing.
  if (!escrow.created_by) return [];
  const accepted = escrow.acceptances.map((one) => one.party);
  return (['buyer', 'seller'] as const)
    .filter((party) => !accepted.includes(party))
    .map((party) => (party === 'buyer' ? escrow.buyer_id : escrow.seller_id))
    .filter((userId) => userId !== escrow.created_by);
}

/** Who must accept before this user can pay. */
export function awaitedBy(escrow: Escrow, user: User): string[] {
  if (!escrow.terms.acceptance_required) return [];
  return missingOf(escrow).filter((userId) => userId !== user.user_id);
}

/** Whether the seller has neither created nor accepted the escrow, nor done anything in it. */
export function isSellerAbsent(escrow: Escrow): boolean {
  const { seller_id } = escrow;
  if (!missingOf(escrow).includes(seller_id)) return false;
  return ![escrow, ...escrow.milestones].some(
    (piece) =>
      piece.confirmations.some((one) => one.party === 'seller') ||
      piece.dispute?.raised_by === seller_id ||
      piece.settlement?.decided_by === seller_id,
  );
}

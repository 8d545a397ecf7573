/** A verdict: how what is held is divided, and what each side has of it in the end. */
import type { PieceData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { t } from '../words';
import { AMOUNT_MIN_MINOR, formatMoney, parseMoney } from './money';
import { feeOn } from './payout';
import { called } from './person';

/** release_minor + refund_minor is what is held; payout_minor + fee_minor is release_minor. */
export interface Division {
  release_minor: number;
  refund_minor: number;
  fee_minor: number;
  payout_minor: number;
}

/** What the arbiter has written of the division: the amount of one side. The other side has the rest. */
export interface Claim {
  side: 'seller' | 'buyer';
  figures: string;
}

/** A division that one press chooses. */
export type Choice = 'seller' | 'buyer' | 'half';

export function divide(release_minor: number, piece: PieceData, { fee_bps }: Escrow): Division {
  const fee_minor = feeOn(release_minor, piece, fee_bps);
  return {
    release_minor,
    refund_minor: piece.held_minor - release_minor,
    fee_minor,
    payout_minor: release_minor - fee_minor,
  };
}

/** What of the held money a claim gives to the seller, before the fee; null if it is not an amount. */
export function releaseOf({ side, figures }: Claim, held_minor: number): number | null {
  const amount_minor = parseMoney(figures);
  if (amount_minor === null || side === 'seller') return amount_minor;
  return held_minor - amount_minor;
}

/** What stands in the field of a side: what was written there, or what the other side leaves. */
export function figuresFor(side: Claim['side'], claim: Claim, held_minor: number): string {
  if (claim.side === side) return claim.figures;
  const amount_minor = parseMoney(claim.figures);
  const isPossible = amount_minor !== null && amount_minor <= held_minor;
  return isPossible ? toFigures(held_minor - amount_minor) : '';
}

/** A paisa that cannot be halved goes back to the buyer. */
export function claimOf(choice: Choice, held_minor: number): Claim {
  const release_minor = choice === 'half' ? Math.floor(held_minor / 2) : held_minor;
  return { side: choice === 'buyer' ? 'buyer' : 'seller', figures: toFigures(release_minor) };
}

/** Why what is held cannot be divided like this; empty if it can. */
export function divisionProblem(
  release_minor: number | null,
  held_minor: number,
  currency: string,
): string {
  if (release_minor === null) return t('dispute.problem.noAmount');
  if (release_minor > held_minor || release_minor < 0) {
    return t('dispute.problem.tooMuch', { held: formatMoney(held_minor, currency) });
  }
  const isTooSmall = [release_minor, held_minor - release_minor].some(
    (part_minor) => part_minor > 0 && part_minor < AMOUNT_MIN_MINOR,
  );
  return isTooSmall ? t('dispute.problem.tooLittle') : '';
}

/** `Pay ravi ₹33,101.25, give asha ₹14,550 back`. */
export function verdictWords(
  { payout_minor, refund_minor }: Division,
  { buyer_id, seller_id, currency }: Escrow,
): string {
  const names = {
    seller: called(seller_id),
    buyer: called(buyer_id),
    payout: formatMoney(payout_minor, currency),
    refund: formatMoney(refund_minor, currency),
  };
  if (payout_minor === 0) return t('dispute.verdict.back', names);
  return t(refund_minor === 0 ? 'dispute.verdict.pay' : 'dispute.verdict.both', names);
}

/** As a person would type it: `33950`, or `33950.50`. */
export function toFigures(amount_minor: number): string {
  const rupees = Math.floor(amount_minor / 100);
  const paise = amount_minor % 100;
  return paise === 0 ? String(rupees) : `${rupees}.${String(paise).padStart(2, '0')}`;
}

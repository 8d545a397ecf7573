/** A verdict: how what is held is divided, and what each side has of it in the end. */
import type { PieceData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { AMOUNT_MIN_MINOR, formatMoney } from './money';
import { feeOn } from './payout';

/** release_minor + refund_minor is what is held; payout_minor + fee_minor is release_minor. */
export interface Division {
  release_minor: number;
  refund_minor: number;
  fee_minor: number;
  payout_minor: number;
}

export function divide(release_minor: number, piece: PieceData, { fee_bps }: Escrow): Division {
  const fee_minor = feeOn(release_minor, piece, fee_bps);
  return {
    release_minor,
    refund_minor: piece.held_minor - release_minor,
    fee_minor,
    payout_minor: release_minor - fee_minor,
  };
}

/** Why what is held cannot be divided like this; empty if it can. */
export function divisionProblem(
  release_minor: number | null,
  held_minor: number,
  currency: string,
): string {
  if (release_minor === null) return 'Write an amount in rupees, such as 5,000 or 99.50.';
  if (release_minor > held_minor) return `No more than ${formatMoney(held_minor, currency)} is held.`;
  const isTooSmall = [release_minor, held_minor - release_minor].some(
    (part_minor) => part_minor > 0 && part_minor < AMOUNT_MIN_MINOR,
  );
  return isTooSmall ? 'Each part must be either ₹0 or at least ₹1.' : '';
}

/** `Pay ravi ₹33,101.25, give asha ₹14,550 back`. */
export function verdictWords(division: Division, { buyer_id, seller_id, currency }: Escrow): string {
  const payout = `${seller_id} ${formatMoney(division.payout_minor, currency)}`;
  const refund = `${buyer_id} ${formatMoney(division.refund_minor, currency)}`;
  if (division.payout_minor === 0) return `Give ${refund} back`;
  return division.refund_minor === 0 ? `Pay ${payout}` : `Pay ${payout}, give ${refund} back`;
}

/** As a person would type it: `33950`, or `33950.50`. */
export function toFigures(amount_minor: number): string {
  const rupees = Math.floor(amount_minor / 100);
  const paise = amount_minor % 100;
  return paise === 0 ? String(rupees) : `${rupees}.${String(paise).padStart(2, '0')}`;
}

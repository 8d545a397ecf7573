/** What the seller gets, and what the platform's fee is. Amounts in whole minor units. */
import type { PieceData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { locale, t } from '../words';
import { AMOUNT_MIN_MINOR, formatMoney } from './money';
import { called } from './person';

const BPS = 10_000;

type Priced = Pick<PieceData, 'amount_minor' | 'payout_minor'>;

/** The platform's fee on a release, rounded down; as the server takes it. */
export function feeOn(release_minor: number, piece: Priced, fee_bps: number): number {
  if (release_minor === piece.amount_minor) return piece.amount_minor - piece.payout_minor;
  return feeOf(release_minor, fee_bps);
}

/** The fee on an amount that is released whole. It gives way where too little would be left to pay out. */
export function feeOf(amount_minor: number, fee_bps: number): number {
  if (amount_minor < AMOUNT_MIN_MINOR) return 0;
  return Math.min(Math.floor((amount_minor * fee_bps) / BPS), amount_minor - AMOUNT_MIN_MINOR);
}

/** The fee if everything is released. Each amount is one piece, whose fee is rounded by itself. */
export function plannedFee(amounts_minor: number[], fee_bps: number): number {
  return amounts_minor.reduce((sum, amount) => sum + feeOf(amount, fee_bps), 0);
}

/** What the seller would get of a piece if all that it holds were released. */
export function payoutOfHeld(piece: PieceData, fee_bps: number): number {
  return piece.held_minor - feeOn(piece.held_minor, piece, fee_bps);
}

/** The pieces that are decided by themselves: the milestones, or the whole. */
export function piecesOf(escrow: Escrow): PieceData[] {
  return escrow.milestones.length > 0 ? escrow.milestones : [escrow];
}

/** What waits to be paid out to the seller, or will be when it is paid. */
export function awaitedPayout(escrow: Escrow): number {
  return piecesOf(escrow).reduce((sum, piece) => sum + awaitedOf(piece, escrow.fee_bps), 0);
}

function awaitedOf(piece: PieceData, fee_bps: number): number {
  switch (piece.status) {
    case 'INITIATED':
      return piece.payout_minor;
    case 'HELD':
    case 'DISPUTED':
      return payoutOfHeld(piece, fee_bps);
    case 'SETTLING':
      return piece.settlement ? piece.settlement.release_minor - piece.settlement.fee_minor : 0;
    default:
      return 0;
  }
}

/** `ravi gets ₹12,187.99; ₹312.51 is the platform’s fee`, without a full stop. */
export function payoutWords(
  sellerId: string,
  readerId: string,
  release_minor: number,
  fee_minor: number,
  currency: string,
): string {
  const said = {
    seller: called(sellerId),
    amount: formatMoney(release_minor - fee_minor, currency),
    fee: formatMoney(fee_minor, currency),
  };
  const isReader = sellerId === readerId;
  if (fee_minor === 0) return isReader ? t('money.payout.you', said) : t('money.payout.other', said);
  return isReader ? t('money.payout.youFee', said) : t('money.payout.otherFee', said);
}

/** `2.5 %` for 250 basis points. */
export function percent(fee_bps: number): string {
  return `${(fee_bps / 100).toLocaleString(locale(), { maximumFractionDigits: 2 })} %`;
}

/** Amounts on screen, in rupees. Everywhere else they are whole minor units (paise). */
import { writeNumber } from '../words/format';

const MINOR_PER_MAJOR = 100;
/** The largest amount that the API takes. */
const AMOUNT_MAX_MINOR = 10 ** 12;
export const AMOUNT_MIN_MINOR = 100;

/** Writes `₹1,00,000`, or `₹1,00,000.50` if there are paise. */
export function formatMoney(amount_minor: number, currency = 'INR'): string {
  const digits = amount_minor % MINOR_PER_MAJOR === 0 ? 0 : 2;
  return writeNumber(amount_minor / MINOR_PER_MAJOR, {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** Reads `1,234.5` as 123450 minor units; null if it is not an amount or is too large. */
export function parseMoney(text: string): number | null {
  const match = /^(\d+)(?:\.(\d{1,2}))?$/.exec(text.replace(/[\s,₹]/g, ''));
  if (!match) return null;
  const amount_minor = Number(match[1]) * MINOR_PER_MAJOR + Number((match[2] ?? '').padEnd(2, '0'));
  return amount_minor <= AMOUNT_MAX_MINOR ? amount_minor : null;
}

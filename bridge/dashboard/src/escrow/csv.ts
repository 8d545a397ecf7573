/** Escrows as a table for a spreadsheet (RFC 4180), with every paisa. */
import type { Escrow } from '../api/wire';

const MINOR_PER_MAJOR = 100;
/** Where a cell begins so, a spreadsheet would run it as a formula (OWASP, CSV injection). */
const FORMULA = /^[\s]*[=+\-@＝＋－＠]|^[\t\r\n]/;

type Column = [name: string, cell: (escrow: Escrow) => string];

/** The names are for programs too, and the same in each language. */
const COLUMNS: Column[] = [
  ['escrow_id', (one) => one.escrow_id],
  ['title', (one) => one.title],
  ['status', (one) => one.status],
  ['buyer_id', (one) => one.buyer_id],
  ['seller_id', (one) => one.seller_id],
  ['arbiter_id', (one) => one.arbiter_id],
  ['currency', (one) => one.currency],
  ['amount', (one) => exact(one.amount_minor)],
  ['held', (one) => exact(one.held_minor)],
  ['released', (one) => exact(one.released_minor)],
  ['refunded', (one) => exact(one.refunded_minor)],
  ['fee', (one) => exact(one.fee_minor)],
  ['created', (one) => one.created_at],
  ['updated', (one) => one.updated_at],
  ['due', (one) => one.deadline ?? ''],
  ['external_id', (one) => one.external_id],
];

export function toCsv(escrows: Escrow[]): string {
  const rows = [COLUMNS.map(([name]) => name), ...escrows.map((one) => COLUMNS.map(([, cell]) => cell(one)))];
  // A spreadsheet reads UTF-8 only after this mark.
  return `\uFEFF${rows.map((row) => row.map(quoted).join(',')).join('\r\n')}\r\n`;
}

/** `1200.50` for 120050 minor units, without a floating point on the way. */
function exact(amount_minor: number): string {
  const paise = String(Math.abs(amount_minor) % MINOR_PER_MAJOR).padStart(2, '0');
  return `${Math.trunc(amount_minor / MINOR_PER_MAJOR)}.${paise}`;
}

function quoted(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

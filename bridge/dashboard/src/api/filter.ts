/** What a list shows. It stands in the page's address, and the server does all of it. */
import type { User } from '../contexts/AuthContext';
import type { Escrow } from './wire';

export const PARTS = ['buyer', 'seller', 'arbiter'] as const;
const ORDERS = ['turn', 'newest', 'oldest'] as const;
export const DATES = ['created', 'changed'] as const;
/** Why a person has to look, as the server names it. */
export const REASONS = [
  'PAYEE_MISSING',
  'PAYEE_REFUSED',
  'GATEWAY_REFUSED',
  'BANK_DISPUTE',
  'BOOKS_DIFFER',
  'FOREIGN_TRANSFER',
  'FOREIGN_REFUND',
  'SURPLUS_PAYMENT',
  'PLATFORM_LOSS',
] as const;

type Role = (typeof PARTS)[number];
export type Order = (typeof ORDERS)[number];
export type Reason = (typeof REASONS)[number];

export interface Filter {
  query: string;
  status: string;
  /** Empty for any. */
  role: Role | '';
  needsMe: boolean;
  /** Only what a person has to look at, for any reason (`yes`) or for one; empty without this filter. */
  attention: Reason | 'yes' | '';
  /** Whether `from` and `until` are days of creation or of the last change. */
  dates: (typeof DATES)[number];
  /** Both included, as `2026-11-27` in the reader's time zone; empty without a limit. */
  from: string;
  until: string;
  order: Order;
}

const ORDER_NAMES: Record<Order, string> = { turn: 'NEEDS_ME', newest: 'NEWEST', oldest: 'OLDEST' };
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/**
 * The orders that a user may ask for, the usual one first. The server puts first what waits for the user
 * only among the user's own escrows, and an admin's list has everybody's.
 */
export function ordersFor(user: User): Order[] {
  return user.roles.includes('admin') ? ['newest', 'oldest'] : [...ORDERS];
}

/** Reads a filter from the address. What makes no sense there is left out. */
export function readFilter(params: URLSearchParams, user: User): Filter {
  const orders = ordersFor(user);
  const part = params.get('part') ?? '';
  const attention = params.get('attention');
  return {
    query: params.get('q') ?? '',
    status: params.get('status') ?? '',
    role: PARTS.find((one) => one === part) ?? '',
    needsMe: part === 'turn',
    attention: (['yes', ...REASONS] as const).find((one) => one === attention) ?? '',
    dates: params.get('dates') === 'changed' ? 'changed' : 'created',
    from: dayIn(params, 'from'),
    until: dayIn(params, 'until'),
    order: orders.find((one) => one === params.get('order')) ?? orders[0] ?? 'newest',
  };
}

function dayIn(params: URLSearchParams, name: string): string {
  const day = params.get(name) ?? '';
  return DAY.test(day) && !Number.isNaN(midnight(day).getTime()) ? day : '';
}

/** Whether anything is left out. */
export function isFiltered(filter: Filter): boolean {
  const { query, status, role, needsMe, attention, from, until } = filter;
  return [query, status, role, needsMe, attention, from, until].some(Boolean);
}

/** The parameters of ListEscrows. */
export function questionOf(filter: Filter): URLSearchParams {
  const question = new URLSearchParams({ order_by: `ESCROW_ORDER_${ORDER_NAMES[filter.order]}` });
  if (filter.query.trim()) question.set('query', filter.query.trim());
  if (filter.status) question.set('status', `ESCROW_STATUS_${filter.status}`);
  if (filter.role) question.set('role', `ESCROW_ROLE_${filter.role.toUpperCase()}`);
  if (filter.needsMe) question.set('needs_me', 'true');
  if (filter.attention === 'yes') question.set('attention', 'true');
  else if (filter.attention) question.set('attention_code', `ATTENTION_CODE_${filter.attention}`);
  const time = filter.dates === 'changed' ? 'update_time' : 'create_time';
  if (filter.from) question.set(`${time}_from`, midnight(filter.from).toISOString());
  if (filter.until) question.set(`${time}_to`, midnight(filter.until, 1).toISOString());
  return question;
}

/** The beginning of a day where the reader is, or of one some days later. */
function midnight(day: string, later = 0): Date {
  const [year, month, date] = day.split('-').map(Number) as [number, number, number];
  return new Date(year, month - 1, date + later);
}

/**
 * Whether a change of an escrow may bring it into a list, out of it, or to another place in it, so that
 * the server has to be asked. `waits` says for whom an escrow waits.
 */
export function mayMove(
  filter: Filter,
  before: Escrow,
  after: Escrow,
  waits: (escrow: Escrow) => boolean,
): boolean {
  if (filter.query !== '') return true;
  if (filter.dates === 'changed' && (filter.from || filter.until)) return true;
  if (filter.status && before.status !== after.status) return true;
  if (filter.attention && reasonsOf(before) !== reasonsOf(after)) return true;
  return (filter.needsMe || filter.order === 'turn') && waits(before) !== waits(after);
}

function reasonsOf(escrow: Escrow): string {
  return escrow.attentions.map((one) => one.code).join();
}

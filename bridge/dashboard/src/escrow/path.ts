/** The five steps of an escrow that people take: agreed, paid, delivered, decided, paid out. */
import type { EscrowStatus, EventData } from '../services/websocket';
import type { Escrow } from '../api/wire';
import { t } from '../words';
import { missingOf } from './acceptance';
import { isHeldUp } from './attention';
import { called, listOf } from './person';

export interface Step {
  key: string;
  label: string;
  /** What was left out came to nothing: a dispute or a refund went before it. */
  state: 'done' | 'current' | 'ahead' | 'skipped';
  /** The colour of the step. */
  tone: 'plain' | 'dispute' | 'ended';
  /** When it was done, if that is known. */
  time?: string;
}

const ORDER = ['agreed', 'paid', 'delivered', 'decided', 'paidOut'] as const;
type Name = (typeof ORDER)[number];

type Said = {
  buyer: string;
  seller: string;
};

const ENDS: EscrowStatus[] = ['RELEASED', 'REFUNDED', 'SPLIT'];
/** The event that ends a step. */
const ENDED_BY: Record<Name, string[]> = {
  agreed: ['escrow_created', 'escrow_accepted'],
  paid: ['payment_captured'],
  delivered: ['confirmation_added'],
  decided: ['dispute_resolved', 'settlement_started'],
  paidOut: ['settlement_completed'],
};

export function isOver(status: EscrowStatus): boolean {
  return ENDS.includes(status) || status === 'CANCELLED';
}

/** The steps that are done, the current one and those ahead. A withdrawn dispute is not a step. */
export function pathOf(escrow: Escrow, events: EventData[] = []): Step[] {
  const { status } = escrow;
  if (status === 'CANCELLED') {
    const time = timeOf(events, ['escrow_cancelled']);
    return [
      { ...step('agreed', 'done'), time: escrow.created_at },
      { key: 'cancelled', label: t('escrow.path.step.cancelled'), state: 'current', tone: 'ended', time },
    ];
  }
  const at = ORDER.indexOf(currentOf(escrow));
  const steps = ORDER.map((name, index) => {
    const past = name === 'delivered' && !wasDelivered(escrow) ? 'skipped' : 'done';
    const state = index < at ? past : index === at ? 'current' : 'ahead';
    return { ...step(name, state), time: state === 'done' ? timeOf(events, ENDED_BY[name]) : undefined };
  });
  if (status === 'DISPUTED') {
    return replace(steps, 'decided', { label: t('escrow.path.step.disputed'), tone: 'dispute' });
  }
  if (!ENDS.includes(status)) return steps;
  const label = t(`escrow.path.step.${endOf(status)}`);
  return replace(steps, 'paidOut', { label, tone: 'ended', time: timeOf(events, ENDED_BY.paidOut) });
}

/** What is to happen now, and what after it; empty when it is over. */
export function courseOf(escrow: Escrow): string[] {
  if (isOver(escrow.status)) return [];
  const said = { buyer: called(escrow.buyer_id), seller: called(escrow.seller_id) };
  switch (currentOf(escrow)) {
    case 'agreed':
      return [t('escrow.path.now.agreed', { who: listOf(missingOf(escrow)) }), t('escrow.path.next.paid', said)];
    case 'paid':
      return [t('escrow.path.now.paid', said), t('escrow.path.next.delivered', said)];
    case 'delivered':
      return delivery(escrow, said);
    case 'decided':
      return [decision(escrow, said), t('escrow.path.next.paidOut')];
    case 'paidOut':
      return [t(isHeldUp(escrow) ? 'escrow.path.now.heldUp' : 'escrow.path.now.paidOut')];
  }
}

function currentOf(escrow: Escrow): Name {
  switch (escrow.status) {
    case 'INITIATED':
      return escrow.terms.acceptance_required && missingOf(escrow).length > 0 ? 'agreed' : 'paid';
    case 'HELD':
      return hasConfirmed(escrow, 'seller') ? 'decided' : 'delivered';
    case 'DISPUTED':
      return 'decided';
    default:
      // A milestone is on its way while others are still to be delivered.
      return escrow.milestones.some((one) => one.status === 'HELD') ? 'delivered' : 'paidOut';
  }
}

function hasConfirmed(escrow: Escrow, party: 'buyer' | 'seller'): boolean {
  return escrow.milestones.length === 0 && escrow.confirmations.some((one) => one.party === party);
}

/** Whether somebody said so, or has paid for it. Of milestones each is delivered by itself. */
function wasDelivered({ status, milestones, confirmations, settlement }: Escrow): boolean {
  if (milestones.length > 0 || confirmations.length > 0) return true;
  return status === 'RELEASED' || (status === 'SETTLING' && settlement?.refund_minor === 0);
}

function delivery(escrow: Escrow, said: Said): string[] {
  if (escrow.milestones.length > 0) return [t('escrow.path.now.milestones', said)];
  if (hasConfirmed(escrow, 'buyer')) {
    return [t('escrow.path.now.sellerConfirms', said), t('escrow.path.next.paidOut')];
  }
  return [t('escrow.path.now.delivered', said), t('escrow.path.next.decided')];
}

function decision(escrow: Escrow, said: Said): string {
  return escrow.status === 'DISPUTED' ? disputed(escrow) : t('escrow.path.now.buyerConfirms', said);
}

function disputed({ arbiter_id }: Escrow): string {
  return arbiter_id
    ? t('escrow.path.now.disputed', { who: called(arbiter_id) })
    : t('escrow.path.now.disputedByAdmin');
}

function endOf(status: EscrowStatus) {
  if (status === 'REFUNDED') return 'refunded';
  return status === 'SPLIT' ? 'split' : 'paidOut';
}

function timeOf(events: EventData[], types: string[]): string | undefined {
  return events.findLast((event) => types.includes(event.event_type))?.time ?? undefined;
}

function step(name: Name, state: Step['state']): Step {
  return { key: name, label: t(`escrow.path.step.${name}`), state, tone: 'plain' };
}

function replace(steps: Step[], key: Name, more: Partial<Step>): Step[] {
  return steps.map((one) => (one.key === key ? { ...one, ...more } : one));
}

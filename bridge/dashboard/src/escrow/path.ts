/** The progress of an escrow from the agreement to its end, as the steps to draw. */
import type { EscrowData, EscrowStatus } from '../services/websocket';
import { STATUS_WORDS } from './word';

export interface Step {
  key: string;
  label: string;
  state: 'done' | 'current' | 'ahead';
  /** The colour of the step. */
  tone: 'plain' | 'dispute' | 'ended';
}

const ENDS: EscrowStatus[] = ['RELEASED', 'REFUNDED', 'SPLIT'];

export function isOver(status: EscrowStatus): boolean {
  return ENDS.includes(status) || status === 'CANCELLED';
}

/** The steps that are done, the current one and those ahead. A withdrawn dispute is not a step. */
export function pathOf(escrow: Pick<EscrowData, 'status' | 'dispute'>): Step[] {
  const { status } = escrow;
  if (status === 'CANCELLED') {
    return [step('INITIATED', 'Agreed', 'done'), step('CANCELLED', 'Cancelled', 'current', 'ended')];
  }
  const order: EscrowStatus[] = ['INITIATED', 'HELD', 'SETTLING'];
  const wasDisputed = escrow.dispute !== null && escrow.dispute.status !== 'withdrawn';
  if (wasDisputed || status === 'DISPUTED') order.splice(2, 0, 'DISPUTED');
  const isEnded = ENDS.includes(status);
  const at = isEnded ? order.length : order.indexOf(status);
  const steps = order.map((name, index) => {
    const state = index < at ? 'done' : index === at ? 'current' : 'ahead';
    const isPast = state === 'done' || name !== 'INITIATED';
    const label = name === 'INITIATED' && isPast ? 'Agreed' : STATUS_WORDS[name];
    return step(name, label, state, name === 'DISPUTED' ? 'dispute' : 'plain');
  });
  const end = isEnded ? STATUS_WORDS[status] : 'Paid out';
  return [...steps, step('END', end, isEnded ? 'current' : 'ahead', isEnded ? 'ended' : 'plain')];
}

function step(key: string, label: string, state: Step['state'], tone: Step['tone'] = 'plain'): Step {
  return { key, label, state, tone };
}

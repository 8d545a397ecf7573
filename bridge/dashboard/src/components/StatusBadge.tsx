import type { EscrowStatus } from '../services/websocket';
import { statusWords } from '../escrow/word';
import classes from './StatusBadge.module.css';

const TONES: Record<EscrowStatus, string> = {
  INITIATED: 'wait',
  HELD: 'held',
  DISPUTED: 'alarm',
  SETTLING: 'held',
  RELEASED: 'good',
  REFUNDED: 'cool',
  SPLIT: 'cool',
  CANCELLED: 'wait',
};

export function StatusBadge({ status, size = 'sm' }: { status: EscrowStatus; size?: 'sm' | 'lg' }) {
  return (
    <span
      className={classes.badge}
      data-tone={TONES[status]}
      data-size={size}
      data-moving={status === 'SETTLING' || undefined}
      data-status={status}
    >
      <span className={classes.dot} aria-hidden />
      {statusWords(status)}
    </span>
  );
}

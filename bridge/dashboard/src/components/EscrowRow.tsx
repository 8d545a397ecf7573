import { Text } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import type { Escrow } from '../api/wire';
import { useAuth, type User } from '../contexts/AuthContext';
import { partOf, turnOf } from '../escrow/action';
import { deadlineHint } from '../escrow/deadline';
import { formatMoney } from '../escrow/money';
import { Ago } from './Ago';
import classes from './EscrowRow.module.css';
import { Bar } from './MoneyBar';
import { StatusBadge } from './StatusBadge';

interface Props {
  escrow: Escrow;
  /** Whether it has not been compared with the server since the connection was lost. */
  isStale: boolean;
}

/** One escrow in a list, as of its version. The whole row is one link. */
export function EscrowRow({ escrow, isStale }: Props) {
  const { user } = useAuth();
  const [first] = useState(escrow.status);
  if (!user) return null;
  const turn = turnOf(escrow, user);
  const deadline = deadlineHint(escrow, user);
  const hasMoved = escrow.status !== first;
  return (
    <li
      className={`hf-card ${classes.row}`}
      data-escrow={escrow.escrow_id}
      data-version={escrow.version}
      data-stale={isStale}
    >
      <div className={classes.what}>
        <Link to={`/escrows/${escrow.escrow_id}`} className={classes.title}>
          {escrow.title}
        </Link>
        <Text size="sm" c="dimmed" truncate>
          {withWhom(escrow, user)}
        </Text>
        {deadline && (
          <Text size="sm" className={classes.deadline} data-deadline>
            {deadline}
          </Text>
        )}
      </div>
      <div className={classes.money}>
        <span className={classes.amount}>{formatMoney(escrow.amount_minor, escrow.currency)}</span>
        <Bar money={escrow} amount_minor={escrow.amount_minor} currency={escrow.currency} isThin />
      </div>
      <div className={classes.state}>
        {/* A new key restarts the animation that shows a change of status. */}
        <span key={escrow.status} className={hasMoved ? classes.flash : undefined}>
          <StatusBadge status={escrow.status} />
        </span>
        {isStale ? (
          <Text size="sm" c="dimmed" component="span">
            May be out of date
          </Text>
        ) : turn ? (
          <span className={classes.turn}>{turn}</span>
        ) : (
          <Text size="sm" c="dimmed" component="span">
            <Ago time={escrow.updated_at} />
          </Text>
        )}
      </div>
    </li>
  );
}

function withWhom(escrow: Escrow, user: User): string {
  switch (partOf(escrow, user)) {
    case 'buyer':
      return `You buy from ${escrow.seller_id}`;
    case 'seller':
      return `You sell to ${escrow.buyer_id}`;
    default:
      return `${escrow.buyer_id} buys from ${escrow.seller_id}`;
  }
}

import { Text } from '@mantine/core';
import { memo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { usePeople } from '../api/name';
import type { Escrow } from '../api/wire';
import { useAuth, type User } from '../contexts/AuthContext';
import { partOf, turnOf } from '../escrow/action';
import { deadlineHint } from '../escrow/deadline';
import { formatMoney } from '../escrow/money';
import { called } from '../escrow/person';
import { dateOf } from '../escrow/time';
import { t } from '../words';
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
export const EscrowRow = memo(function EscrowRow({ escrow, isStale }: Props) {
  const { t } = useTranslation();
  const { user } = useAuth();
  usePeople([escrow.buyer_id, escrow.seller_id]);
  const [first] = useState(escrow.status);
  if (!user) return null;
  const turn = turnOf(escrow, user);
  const deadline = deadlineHint(escrow, user);
  const hasMoved = escrow.status !== first;
  return (
    <li
      className={`hf-card ${classes.row} ${classes.columns}`}
      // The link covers the row, and takes the title of what it stands in.
      title={`${escrow.buyer_id} → ${escrow.seller_id}`}
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
      </div>
      <Text size="sm" c="dimmed" className={classes.created} component="time" dateTime={escrow.created_at}>
        {dateOf(escrow.created_at)}
      </Text>
      <Text size="sm" className={classes.due} data-deadline={deadline ? true : undefined}>
        {deadline}
      </Text>
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
            {t('list.stale')}
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
});

function withWhom(escrow: Escrow, user: User): string {
  const people = { buyer: called(escrow.buyer_id), seller: called(escrow.seller_id) };
  switch (partOf(escrow, user)) {
    case 'buyer':
      return t('list.buying', people);
    case 'seller':
      return t('list.selling', people);
    default:
      return t('list.between', people);
  }
}

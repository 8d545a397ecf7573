import { UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import type { Order } from '../../api/filter';
import row from '../EscrowRow.module.css';
import classes from './Columns.module.css';

interface Props {
  order: Order;
  orders: Order[];
  onOrder: (order: Order) => void;
}

/** The heads of the columns on wide screens. Those by which the server sorts are buttons. */
export function Columns({ order, orders, onOrder }: Props) {
  const { t } = useTranslation();
  const Arrow = order === 'oldest' ? IconArrowUp : IconArrowDown;
  return (
    <div className={`${row.columns} ${classes.heads}`}>
      <span>{t('list.column.escrow')}</span>
      <UnstyledButton
        className={classes.sort}
        aria-pressed={order !== 'turn'}
        onClick={() => onOrder(order === 'newest' ? 'oldest' : 'newest')}
      >
        {t('list.column.created')} {order !== 'turn' && <Arrow size={14} aria-hidden />}
      </UnstyledButton>
      <span>{t('list.column.due')}</span>
      <span className={classes.right}>{t('list.column.amount')}</span>
      {orders.includes('turn') ? (
        <UnstyledButton
          className={`${classes.sort} ${classes.right}`}
          aria-pressed={order === 'turn'}
          onClick={() => onOrder('turn')}
        >
          {order === 'turn' && <IconArrowDown size={14} aria-hidden />} {t('list.column.status')}
        </UnstyledButton>
      ) : (
        <span className={classes.right}>{t('list.column.status')}</span>
      )}
    </div>
  );
}

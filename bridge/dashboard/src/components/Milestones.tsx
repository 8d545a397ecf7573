import { Text, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import type { Escrow } from '../api/wire';
import type { User } from '../contexts/AuthContext';
import { actionsOf } from '../escrow/action';
import { deadlineWords } from '../escrow/deadline';
import { formatMoney } from '../escrow/money';
import { called } from '../escrow/person';
import type { MilestoneData } from '../services/websocket';
import { Actions } from './Actions';
import classes from './Milestones.module.css';
import { Deadline } from './Deadline';
import { Bar } from './MoneyBar';
import { StatusBadge } from './StatusBadge';

/** The milestones of an escrow, each with its status and what the user may do with it. */
export function Milestones({ escrow, user }: { escrow: Escrow; user: User }) {
  const { t } = useTranslation();
  const actions = actionsOf(escrow, user);
  return (
    <section className="hf-card" aria-labelledby="milestones">
      <Title order={2} size="h3" id="milestones" className={classes.title}>
        {t('escrow.milestone.title')}
      </Title>
      <ol className={classes.list}>
        {escrow.milestones.map((one) => (
          <li key={one.milestone_id} className={classes.milestone} data-milestone={one.milestone_id}>
            <div className={classes.head}>
              <Text fw={560}>{one.title}</Text>
              <StatusBadge status={one.status} />
              <Text fw={600} ml="auto">
                {formatMoney(one.amount_minor, escrow.currency)}
              </Text>
            </div>
            <Bar money={one} amount_minor={one.amount_minor} currency={escrow.currency} isThin />
            {one.dispute?.status === 'open' && (
              <Text size="sm" c="dimmed" className="hf-words">
                {t('escrow.milestone.said', { who: called(one.dispute.raised_by), words: one.dispute.reason })}
              </Text>
            )}
            {one.confirmations.length > 0 && one.status === 'HELD' && (
              <Text size="sm" c="dimmed">
                {t(`escrow.milestone.confirmedBy.${confirmedBy(one)}`)}
              </Text>
            )}
            <Text size="sm" c="dimmed">
              {t(
                escrow.seller_id === user.user_id
                  ? 'escrow.milestone.youGet'
                  : 'escrow.milestone.otherGets',
                { seller: called(escrow.seller_id), amount: formatMoney(one.payout_minor, escrow.currency) },
              )}
            </Text>
            <Deadline words={deadlineWords(escrow, one, user)} />
            <Actions
              escrow={escrow}
              size="sm"
              actions={actions.filter((a) => a.milestone?.milestone_id === one.milestone_id)}
            />
          </li>
        ))}
      </ol>
    </section>
  );
}

function confirmedBy({ confirmations }: MilestoneData) {
  return confirmations.length > 1 ? 'both' : (confirmations[0]?.party ?? 'buyer');
}

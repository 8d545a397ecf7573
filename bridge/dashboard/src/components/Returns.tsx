import { Text, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import type { Escrow } from '../api/wire';
import type { User } from '../contexts/AuthContext';
import { keptWords, refundDetails, returnsOf } from '../escrow/ending';
import { Copyable } from './Copyable';
import classes from './Returns.module.css';

/** The money that goes back to the buyer, under the numbers by which a bank finds it. */
export function Returns({ escrow, user }: { escrow: Escrow; user: User }) {
  const { t } = useTranslation();
  const returns = returnsOf(escrow, user.user_id);
  if (returns.length === 0) return null;
  const kept = keptWords(escrow, user.user_id);
  return (
    <section className={`hf-card ${classes.card}`} aria-labelledby="returns">
      <Title order={2} size="h3" id="returns">
        {t('escrow.return.title')}
      </Title>
      {returns.map((one) => (
        <div key={one.key} className={classes.return}>
          <Text size="sm">{one.text}</Text>
          {one.refunds.map((refund) => (
            <dl key={refund.refund_id} className={classes.details}>
              {refundDetails(refund).map(({ name, value, isNumber }) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{isNumber ? <Copyable value={value} /> : value}</dd>
                </div>
              ))}
            </dl>
          ))}
        </div>
      ))}
      {kept && (
        <Text size="sm" c="dimmed">
          {kept}
        </Text>
      )}
    </section>
  );
}

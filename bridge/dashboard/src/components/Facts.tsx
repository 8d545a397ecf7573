import { Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Escrow } from '../api/wire';
import type { User } from '../contexts/AuthContext';
import { missingOf } from '../escrow/acceptance';
import { formatMoney } from '../escrow/money';
import { percent } from '../escrow/payout';
import { called } from '../escrow/person';
import { moment, span } from '../escrow/time';
import { Copyable } from './Copyable';
import classes from './Facts.module.css';
import { Person } from './Person';

/** What was agreed, and between whom. */
export function Facts({ escrow, user }: { escrow: Escrow; user: User }) {
  const { t } = useTranslation();
  const name = (id: string) => (id === user.user_id ? t('facts.you', { who: called(id) }) : called(id));
  const person = (id: string) => <Person id={id} isYou={id === user.user_id} />;
  const money = (amount_minor: number) => formatMoney(amount_minor, escrow.currency);
  const { customer_fee_minor, payment_id } = escrow.payment;
  return (
    <section className={`hf-card ${classes.card}`} aria-labelledby="facts">
      <Title order={2} size="h3" id="facts" mb="md">
        {t('facts.title')}
      </Title>
      {escrow.description && <Text className={classes.words}>{escrow.description}</Text>}
      <dl className={classes.facts}>
        <Fact name={t('facts.buyer')}>{person(escrow.buyer_id)}</Fact>
        <Fact name={t('facts.seller')}>{person(escrow.seller_id)}</Fact>
        <Fact name={t('facts.arbiter')}>{escrow.arbiter_id ? person(escrow.arbiter_id) : t('facts.nobody')}</Fact>
        <Fact name={t('facts.price')}>{money(escrow.amount_minor)}</Fact>
        <Fact
          name={
            escrow.seller_id === user.user_id
              ? t('facts.youGet')
              : t('facts.otherGets', { seller: called(escrow.seller_id) })
          }
        >
          {money(escrow.payout_minor)}
        </Fact>
        <Fact name={t('facts.fee')}>
          {t('facts.feeOf', {
            fee: money(escrow.amount_minor - escrow.payout_minor),
            percent: percent(escrow.fee_bps),
          })}
        </Fact>
        {customer_fee_minor > 0 && (
          <Fact name={t('facts.onTop')}>
            {t('facts.onTopWhy', { amount: money(customer_fee_minor) })}
          </Fact>
        )}
        <Fact name={t('facts.timeToPay')}>{span(escrow.terms.payment_window_s)}</Fact>
        <Fact name={t('facts.timeToInspect')}>{span(escrow.terms.inspection_period_s)}</Fact>
        <Acceptances escrow={escrow} name={name} />
        <Fact name={t('facts.since')}>{moment(escrow.created_at)}</Fact>
        {payment_id && (
          <Fact name={t('facts.payment')}>
            <Copyable value={payment_id} />
          </Fact>
        )}
        <Fact name={t('facts.escrow')}>
          <Copyable value={escrow.escrow_id} />
        </Fact>
      </dl>
    </section>
  );
}

/** Who stands behind it: the creator, those who accepted, and those who have not yet. */
function Acceptances({ escrow, name }: { escrow: Escrow; name: (id: string) => string }) {
  const { t } = useTranslation();
  const said = escrow.acceptances.map(({ party, time }) => {
    const who = name(party === 'buyer' ? escrow.buyer_id : escrow.seller_id);
    return time ? t('facts.acceptedAt', { who, at: moment(time) }) : who;
  });
  const missing = missingOf(escrow).map((id) => t('facts.notYet', { who: name(id) }));
  return (
    <>
      {escrow.created_by && <Fact name={t('facts.createdBy')}>{name(escrow.created_by)}</Fact>}
      {said.length + missing.length > 0 && (
        <Fact name={t('facts.accepted')}>{[...said, ...missing].join('; ')}</Fact>
      )}
    </>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

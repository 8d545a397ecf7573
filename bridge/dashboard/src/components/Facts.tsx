import { Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Escrow } from '../api/wire';
import type { User } from '../contexts/AuthContext';
import { missingOf } from '../escrow/acceptance';
import { formatMoney } from '../escrow/money';
import { gets, percent } from '../escrow/payout';
import { moment, span } from '../escrow/time';
import { Copyable } from './Copyable';
import classes from './Facts.module.css';

/** What was agreed, and between whom. */
export function Facts({ escrow, user }: { escrow: Escrow; user: User }) {
  const name = (id: string) => (id === user.user_id ? `${id} (you)` : id);
  const money = (amount_minor: number) => formatMoney(amount_minor, escrow.currency);
  const { customer_fee_minor, payment_id } = escrow.payment;
  return (
    <section className={`hf-card ${classes.card}`} aria-labelledby="facts">
      <Title order={2} size="h3" id="facts" mb="md">
        Agreed
      </Title>
      {escrow.description && <Text className={classes.words}>{escrow.description}</Text>}
      <dl className={classes.facts}>
        <Fact name="Buyer">{name(escrow.buyer_id)}</Fact>
        <Fact name="Seller">{name(escrow.seller_id)}</Fact>
        <Fact name="Arbiter">{escrow.arbiter_id ? name(escrow.arbiter_id) : 'nobody'}</Fact>
        <Fact name="Price">{money(escrow.amount_minor)}</Fact>
        <Fact name={gets(escrow.seller_id, user.user_id, 'You')}>{money(escrow.payout_minor)}</Fact>
        <Fact name="Platform’s fee">
          {money(escrow.amount_minor - escrow.payout_minor)} ({percent(escrow.fee_bps)} of what is paid
          out)
        </Fact>
        {customer_fee_minor > 0 && (
          <Fact name="Paid on top">{money(customer_fee_minor)}, Razorpay’s fee for the payment</Fact>
        )}
        <Fact name="Time to pay">{span(escrow.terms.payment_window_s)}</Fact>
        <Fact name="Time to inspect">{span(escrow.terms.inspection_period_s)}</Fact>
        <Acceptances escrow={escrow} name={name} />
        <Fact name="Since">{moment(escrow.created_at)}</Fact>
        {payment_id && (
          <Fact name="Payment">
            <Copyable value={payment_id} />
          </Fact>
        )}
        <Fact name="Escrow">
          <Copyable value={escrow.escrow_id} />
        </Fact>
      </dl>
    </section>
  );
}

/** Who stands behind it: the creator, those who accepted, and those who have not yet. */
function Acceptances({ escrow, name }: { escrow: Escrow; name: (id: string) => string }) {
  const said = escrow.acceptances.map(({ party, time }) => {
    const who = name(party === 'buyer' ? escrow.buyer_id : escrow.seller_id);
    return time ? `${who}: ${moment(time)}` : who;
  });
  const missing = missingOf(escrow).map((id) => `${name(id)}: not yet`);
  return (
    <>
      {escrow.created_by && <Fact name="Created by">{name(escrow.created_by)}</Fact>}
      {said.length + missing.length > 0 && (
        <Fact name="Accepted">{[...said, ...missing].join('; ')}</Fact>
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

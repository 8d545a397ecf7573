import { CopyButton, Text, Title, Tooltip, UnstyledButton } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Escrow } from '../api/wire';
import type { User } from '../contexts/AuthContext';
import { minuteTime, span } from '../escrow/time';
import classes from './Facts.module.css';

/** What was agreed, and between whom. */
export function Facts({ escrow, user }: { escrow: Escrow; user: User }) {
  const name = (id: string) => (id === user.user_id ? `${id} (you)` : id);
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
        {escrow.terms && (
          <>
            <Fact name="Time to pay">{span(escrow.terms.payment_window_s)}</Fact>
            <Fact name="Time to inspect">{span(escrow.terms.inspection_period_s)}</Fact>
          </>
        )}
        <Fact name="Since">{minuteTime(escrow.created_at)}</Fact>
        {escrow.payment.payment_id && <Fact name="Payment">{<Id value={escrow.payment.payment_id} />}</Fact>}
        <Fact name="Escrow">
          <Id value={escrow.escrow_id} />
        </Fact>
      </dl>
    </section>
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

function Id({ value }: { value: string }) {
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? 'Copied' : 'Copy'}>
          <UnstyledButton className={classes.id} onClick={copy} aria-label={`Copy ${value}`}>
            {value}
          </UnstyledButton>
        </Tooltip>
      )}
    </CopyButton>
  );
}

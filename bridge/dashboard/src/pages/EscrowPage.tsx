import { Alert, Button, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconAlertTriangle, IconArrowLeft, IconScale } from '@tabler/icons-react';
import { Link, useParams } from 'react-router';
import { useTimeline } from '../api/live';
import { useReturnedPayment } from '../api/payment';
import { useEscrow } from '../api/query';
import type { Escrow } from '../api/wire';
import { Actions } from '../components/Actions';
import { Facts } from '../components/Facts';
import { FaultAlert } from '../components/FaultAlert';
import { Milestones } from '../components/Milestones';
import { MoneyBar } from '../components/MoneyBar';
import { StatePath } from '../components/StatePath';
import { StatusBadge } from '../components/StatusBadge';
import { Timeline } from '../components/Timeline';
import { useAuth, type User } from '../contexts/AuthContext';
import { actionsOf, partOf } from '../escrow/action';
import { formatMoney } from '../escrow/money';
import { isOver } from '../escrow/path';
import classes from './EscrowPage.module.css';
import { usePageTitle } from './title';

export function EscrowPage() {
  const { id = '' } = useParams();
  // Each escrow is a new page, so that no state of the previous one stays.
  return <Content key={id} id={id} />;
}

function Content({ id }: { id: string }) {
  const { user } = useAuth();
  const escrow = useEscrow(id);
  const timeline = useTimeline(id);
  const payment = useReturnedPayment(id);
  usePageTitle(escrow.data?.title ?? 'Escrow');
  if (!user) return null;
  if (escrow.isPending) return <Loading />;
  if (!escrow.data) return <Missing error={escrow.error} onRetry={() => void escrow.refetch()} />;
  return (
    <article className={classes.page} data-version={escrow.data.version}>
      <Head escrow={escrow.data} />
      <div className={classes.main}>
        <section className={`hf-card ${classes.panel}`} aria-label="Where it stands">
          <StatePath escrow={escrow.data} />
          <hr className={classes.rule} />
          <MoneyBar
            money={escrow.data}
            amount_minor={escrow.data.amount_minor}
            currency={escrow.data.currency}
          />
        </section>
        {escrow.data.milestones.length > 0 && <Milestones escrow={escrow.data} user={user} />}
        <section className={`hf-card ${classes.panel}`} aria-labelledby="timeline">
          <Title order={2} size="h3" id="timeline" mb="md">
            Timeline
          </Title>
          <FaultAlert error={timeline.error} onRetry={() => void timeline.refetch()} />
          <Timeline events={timeline.events} />
        </section>
      </div>
      <aside className={classes.side} aria-label="What you can do, and what was agreed">
        <Todo escrow={escrow.data} user={user} payment={payment} />
        <Facts escrow={escrow.data} user={user} />
      </aside>
    </article>
  );
}

function Head({ escrow }: { escrow: Escrow }) {
  return (
    <header className={classes.head}>
      <Link to="/" className={classes.back}>
        <IconArrowLeft size={16} aria-hidden /> Escrows
      </Link>
      <div className={classes.titles}>
        <Title order={1}>{escrow.title}</Title>
        <StatusBadge status={escrow.status} size="lg" />
      </div>
      <Text className={classes.amount}>{formatMoney(escrow.amount_minor, escrow.currency)}</Text>
    </header>
  );
}

type ReturnedPayment = ReturnType<typeof useReturnedPayment>;

function Todo({ escrow, user, payment }: { escrow: Escrow; user: User; payment: ReturnedPayment }) {
  const actions = actionsOf(escrow, user).filter((action) => !action.milestone);
  const isPaying = escrow.status === 'INITIATED';
  return (
    <section className={`hf-card ${classes.panel}`} aria-labelledby="todo">
      <Stack gap="md">
        <Title order={2} size="h3" id="todo">
          {isOver(escrow.status) ? 'All done' : 'What now'}
        </Title>
        <Text c="dimmed" aria-live="polite">
          {situation(escrow, user)}
        </Text>
        {escrow.dispute?.status === 'open' && (
          <Alert color="red" icon={<IconScale aria-hidden />} title={`${escrow.dispute.raised_by} objects`}>
            {escrow.dispute.reason}
          </Alert>
        )}
        {escrow.dispute?.note && (
          <Alert color="gray" icon={<IconScale aria-hidden />} title="How it was decided">
            {escrow.dispute.note}
          </Alert>
        )}
        {escrow.attention && (
          <Alert color="yellow" icon={<IconAlertTriangle aria-hidden />} title="Needs attention">
            {escrow.attention}
          </Alert>
        )}
        {isPaying && payment.hasFailed && (
          <Alert role="alert" color="red" title="The payment did not go through">
            Nothing was taken. You can try again.
          </Alert>
        )}
        <FaultAlert error={payment.error} />
        {payment.isPending && isPaying ? (
          <Text role="status">Asking Razorpay about your payment…</Text>
        ) : (
          actions.length > 0 && <Actions escrow={escrow} actions={actions} />
        )}
      </Stack>
    </section>
  );
}

/** What is happening and whose turn it is, as this user sees it. */
function situation(escrow: Escrow, user: User): string {
  const part = partOf(escrow, user);
  const arbiter = escrow.arbiter_id || 'an administrator';
  switch (escrow.status) {
    case 'INITIATED':
      return part === 'buyer'
        ? 'Pay, and the money is held until you both confirm.'
        : `Waiting for ${escrow.buyer_id} to pay.`;
    case 'HELD':
      return heldSituation(escrow, part);
    case 'DISPUTED':
      return part === 'arbiter'
        ? 'Both sides wait for your decision.'
        : `The money stays held until ${arbiter} decides.`;
    case 'SETTLING':
      return 'Decided. Razorpay is moving the money now.';
    case 'RELEASED':
      return `${escrow.seller_id} has been paid.`;
    case 'REFUNDED':
      return `${escrow.buyer_id} has everything back.`;
    case 'SPLIT':
      return 'The money has been divided between both.';
    case 'CANCELLED':
      return 'Called off before it was paid.';
  }
}

function heldSituation(escrow: Escrow, part: string): string {
  if (escrow.milestones.length > 0) return 'The money is held. Each milestone is settled separately.';
  const confirmed = escrow.confirmations.map((one) => one.party as string);
  const missing = (['buyer', 'seller'] as const).filter((one) => !confirmed.includes(one));
  if (missing.includes(part as 'buyer' | 'seller')) {
    return confirmed.length > 0
      ? 'The money is held. The other side has confirmed; now it is up to you.'
      : 'The money is held. Confirm when your side is done.';
  }
  const names = missing.map((one) => (one === 'buyer' ? escrow.buyer_id : escrow.seller_id));
  return `The money is held. Waiting for ${names.join(' and ')} to confirm.`;
}

function Loading() {
  return (
    <Stack gap="lg" aria-busy aria-label="Loading the escrow">
      <Skeleton height={44} width="60%" />
      <Skeleton height={220} radius="lg" />
      <Skeleton height={320} radius="lg" />
    </Stack>
  );
}

function Missing({ error, onRetry }: { error: Error | null; onRetry: () => void }) {
  return (
    <Stack maw={560} mx="auto" align="flex-start">
      <Title order={1}>This escrow cannot be shown</Title>
      <FaultAlert error={error} onRetry={onRetry} />
      <Button component={Link} to="/" variant="default">
        To your escrows
      </Button>
    </Stack>
  );
}

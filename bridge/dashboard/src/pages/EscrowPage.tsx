import { Alert, Button, Group, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconArrowLeft, IconScale } from '@tabler/icons-react';
import { Link, useParams } from 'react-router';
import { Fault } from '../api/http';
import { useTimeline } from '../api/live';
import { useReturnedPayment } from '../api/payment';
import { useEscrow, usePayee } from '../api/query';
import type { Escrow } from '../api/wire';
import { Actions } from '../components/Actions';
import { Deadline } from '../components/Deadline';
import { Facts } from '../components/Facts';
import { FaultAlert } from '../components/FaultAlert';
import { Invitation } from '../components/Invitation';
import { Milestones } from '../components/Milestones';
import { MoneyBar } from '../components/MoneyBar';
import { Notices } from '../components/Notices';
import { Returns } from '../components/Returns';
import { StatePath } from '../components/StatePath';
import { StatusBadge } from '../components/StatusBadge';
import { Timeline } from '../components/Timeline';
import { useStale } from '../components/useStale';
import { useAuth, type User } from '../contexts/AuthContext';
import { missingOf } from '../escrow/acceptance';
import { actionsOf, partOf, type Action } from '../escrow/action';
import { noticesFor } from '../escrow/attention';
import { deadlineWords } from '../escrow/deadline';
import { formatMoney } from '../escrow/money';
import { isOver } from '../escrow/path';
import { situation } from '../escrow/situation';
import type { EventData } from '../services/websocket';
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
  const isStale = useStale(id);
  usePageTitle(escrow.data?.title ?? 'Escrow');
  if (!user) return null;
  if (escrow.isPending) return <Loading />;
  if (!escrow.data) return <Missing error={escrow.error} onRetry={() => void escrow.refetch()} />;
  return (
    <article className={classes.page} data-version={escrow.data.version} data-stale={isStale}>
      <Head escrow={escrow.data} isStale={isStale} />
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
        <div className={classes.now}>
          <Todo escrow={escrow.data} user={user} events={timeline.events} payment={payment} />
          <Returns escrow={escrow.data} user={user} />
        </div>
        <Facts escrow={escrow.data} user={user} />
      </aside>
    </article>
  );
}

function Head({ escrow, isStale }: { escrow: Escrow; isStale: boolean }) {
  return (
    <header className={classes.head}>
      <Link to="/" className={classes.back}>
        <IconArrowLeft size={16} aria-hidden /> Escrows
      </Link>
      <div className={classes.titles}>
        <Title order={1}>{escrow.title}</Title>
        <StatusBadge status={escrow.status} size="lg" />
        {isStale && <Text c="dimmed">May be out of date</Text>}
      </div>
      <Text className={classes.amount}>{formatMoney(escrow.amount_minor, escrow.currency)}</Text>
    </header>
  );
}

interface TodoProps {
  escrow: Escrow;
  user: User;
  events: EventData[];
  payment: ReturnType<typeof useReturnedPayment>;
}

function Todo({ escrow, user, events, payment }: TodoProps) {
  const hasAccount = useHasAccount(escrow, user);
  const actions = actionsOf(escrow, user).filter((action) => !action.milestone);
  const isPaying = escrow.status === 'INITIATED';
  const invited = invitedBy(escrow, user);
  const objection = objectionOf(escrow, user, actions);
  const others = actions.filter((action) => action !== objection);
  return (
    <section className={`hf-card ${classes.panel}`} aria-labelledby="todo">
      <Stack gap="md">
        <Title order={2} size="h3" id="todo">
          {isOver(escrow.status) ? 'How it ended' : 'What now'}
        </Title>
        <Text c="dimmed" aria-live="polite" className="hf-words">
          {situation(escrow, user, { events, hasAccount })}
        </Text>
        <Disputes escrow={escrow} />
        <Notices notices={noticesFor(escrow, user, hasAccount)} />
        {isPaying && payment.hasFailed && (
          <Alert role="alert" color="red" title="The payment did not go through">
            Nothing was taken. You can try again.
          </Alert>
        )}
        <FaultAlert error={payment.error} />
        {escrow.milestones.length === 0 || isPaying ? (
          <Deadline words={deadlineWords(escrow, escrow, user)}>
            {objection && <Actions escrow={escrow} actions={[objection]} size="sm" />}
          </Deadline>
        ) : null}
        {payment.isPending && isPaying ? (
          <Text role="status">Asking Razorpay about your payment…</Text>
        ) : (
          others.length > 0 && <Actions escrow={escrow} actions={others} />
        )}
        {invited.length > 0 && <Invitation names={invited} />}
      </Stack>
    </section>
  );
}

/** Whether a seller has said how they are paid; undefined for others, and while it is not known. */
function useHasAccount(escrow: Escrow, user: User): boolean | undefined {
  const isWaiting = partOf(escrow, user) === 'seller' && !isOver(escrow.status);
  const payee = usePayee(user.user_id, isWaiting);
  return isWaiting && payee.isSuccess ? payee.data !== null : undefined;
}

/** Those whom the creator still has to send the link to this page. */
function invitedBy(escrow: Escrow, user: User): string[] {
  const isOpen = escrow.status === 'INITIATED' || escrow.status === 'HELD';
  return isOpen && escrow.created_by === user.user_id ? missingOf(escrow) : [];
}

/** The way to object to a release by the clock. It stands beside the words about the clock. */
function objectionOf(escrow: Escrow, user: User, actions: Action[]): Action | undefined {
  const isWarned = escrow.deadline_action === 'RELEASE' && partOf(escrow, user) === 'buyer';
  return isWarned ? actions.find((action) => action.verb === 'dispute') : undefined;
}

function Disputes({ escrow: { dispute, milestones, settlement } }: { escrow: Escrow }) {
  const notes = [dispute, ...milestones.map((one) => one.dispute)]
    .map((one) => one?.note)
    .filter((one) => one !== undefined && one !== '');
  // An admin's later word takes the place of the arbiter's.
  const isOverridden = dispute?.note && settlement && settlement.note !== dispute.note;
  return (
    <>
      {dispute?.status === 'open' && (
        <Alert color="red" icon={<IconScale aria-hidden />} title={`${dispute.raised_by} objects`}>
          <span className="hf-words">{dispute.reason}</span>
        </Alert>
      )}
      {(isOverridden ? [settlement.note] : notes).map((note) => (
        <Alert key={note} color="gray" icon={<IconScale aria-hidden />} title="How it was decided">
          <span className="hf-words">{note}</span>
        </Alert>
      ))}
    </>
  );
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
  const { user, leave } = useAuth();
  return (
    <Stack maw={560} mx="auto" align="flex-start">
      <Title order={1}>This escrow cannot be shown</Title>
      <FaultAlert error={error} onRetry={onRetry} />
      {error instanceof Fault && error.status === 404 && user && (
        <Text>
          You are logged in as {user.user_id}. If somebody sent you this link, log in as the person whom
          they named.
        </Text>
      )}
      <Group>
        <Button component={Link} to="/" variant="default">
          To your escrows
        </Button>
        <Button variant="default" onClick={leave}>
          Log in as somebody else
        </Button>
      </Group>
    </Stack>
  );
}

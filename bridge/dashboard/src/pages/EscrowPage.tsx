import { Alert, Button, Group, Stack, Text, Title } from '@mantine/core';
import { IconArrowLeft, IconScale } from '@tabler/icons-react';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { Fault } from '../api/http';
import { useTimeline } from '../api/live';
import { usePeople } from '../api/name';
import { useReturnedPayment } from '../api/payment';
import { useEscrow, usePayee } from '../api/query';
import type { Escrow } from '../api/wire';
import { Actions } from '../components/Actions';
import { Deadline } from '../components/Deadline';
import { DisputeRooms } from '../components/dispute/DisputeRoom';
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
import { called } from '../escrow/person';
import { situation } from '../escrow/situation';
import type { EventData } from '../services/websocket';
import { wordsFor } from '../words';
import classes from './EscrowPage.module.css';
import { EscrowSkeleton } from './EscrowSkeleton';
import { fetchDialogs } from './pages';
import { usePageTitle } from './title';

export function EscrowPage() {
  const { id = '' } = useParams();
  useEffect(fetchDialogs, []);
  // Each escrow is a new page, so that no state of the previous one stays.
  return <Content key={id} id={id} />;
}

function Content({ id }: { id: string }) {
  const { t } = useTranslation();
  const { user } = useAuth();
  const escrow = useEscrow(id);
  const timeline = useTimeline(id);
  const payment = useReturnedPayment(id);
  const isStale = useStale(id);
  usePageTitle(escrow.data?.title ?? t('escrow.page.title'));
  usePeople(escrow.data ? peopleOf(escrow.data, timeline.events) : []);
  if (!user) return null;
  if (escrow.isPending) return <EscrowSkeleton />;
  if (!escrow.data) return <Missing error={escrow.error} onRetry={() => void escrow.refetch()} />;
  return (
    <article className={classes.page} data-version={escrow.data.version} data-stale={isStale}>
      <Head escrow={escrow.data} isStale={isStale} />
      <div className={classes.main}>
        <section className={`hf-card ${classes.panel}`} aria-label={t('escrow.page.stands')}>
          <StatePath escrow={escrow.data} events={timeline.events} />
          <hr className={classes.rule} />
          <MoneyBar
            money={escrow.data}
            amount_minor={escrow.data.amount_minor}
            currency={escrow.data.currency}
          />
        </section>
        {escrow.data.milestones.length > 0 && <Milestones escrow={escrow.data} user={user} />}
        <DisputeRooms escrow={escrow.data} user={user} events={timeline.events} />
        <section className={`hf-card ${classes.panel}`} aria-labelledby="timeline">
          <Title order={2} size="h3" id="timeline" mb="md">
            {t('escrow.page.timeline')}
          </Title>
          <FaultAlert error={timeline.error} onRetry={() => void timeline.refetch()} />
          <Timeline events={timeline.events} />
        </section>
      </div>
      <aside className={classes.side} aria-label={t('escrow.page.side')}>
        <div className={classes.now}>
          <Todo escrow={escrow.data} user={user} events={timeline.events} payment={payment} />
          <Returns escrow={escrow.data} user={user} />
        </div>
        <Facts escrow={escrow.data} user={user} />
      </aside>
    </article>
  );
}

/** Whoever is named on the page: the parties, and all who have done something. */
function peopleOf(escrow: Escrow, events: EventData[]): string[] {
  const { buyer_id, seller_id, arbiter_id, created_by } = escrow;
  const actors = events.map((one) => one.actor_id ?? '').filter((one) => !wordsFor('event.actor', one));
  return [buyer_id, seller_id, arbiter_id, created_by ?? '', ...actors];
}

function Head({ escrow, isStale }: { escrow: Escrow; isStale: boolean }) {
  const { t } = useTranslation();
  return (
    <header className={classes.head}>
      <Link to="/" className={classes.back}>
        <IconArrowLeft size={16} aria-hidden /> {t('escrow.page.back')}
      </Link>
      <div className={classes.titles}>
        <Title order={1}>{escrow.title}</Title>
        <StatusBadge status={escrow.status} size="lg" />
        {isStale && <Text c="dimmed">{t('escrow.page.stale')}</Text>}
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
  const { t } = useTranslation();
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
          {t(isOver(escrow.status) ? 'escrow.page.ended' : 'escrow.page.now')}
        </Title>
        <Text c="dimmed" aria-live="polite" className="hf-words">
          {situation(escrow, user, { events, hasAccount })}
        </Text>
        <Disputes escrow={escrow} />
        <Notices notices={noticesFor(escrow, user, hasAccount)} />
        {isPaying && payment.hasFailed && (
          <Alert role="alert" color="red" title={t('escrow.page.failedTitle')}>
            {t('escrow.page.failed')}
          </Alert>
        )}
        <FaultAlert error={payment.error} />
        {escrow.milestones.length === 0 || isPaying ? (
          <Deadline words={deadlineWords(escrow, escrow, user)}>
            {objection && <Actions escrow={escrow} actions={[objection]} size="sm" />}
          </Deadline>
        ) : null}
        {payment.isPending && isPaying ? (
          <Text role="status">{t('escrow.page.asking')}</Text>
        ) : (
          others.length > 0 && <Actions escrow={escrow} actions={others} />
        )}
        {invited.length > 0 && <Invitation escrow={escrow} names={invited} />}
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
  const { t } = useTranslation();
  const notes = [dispute, ...milestones.map((one) => one.dispute)]
    .map((one) => one?.note)
    .filter((one) => one !== undefined && one !== '');
  // An admin's later word takes the place of the arbiter's.
  const isOverridden = dispute?.note && settlement && settlement.note !== dispute.note;
  return (
    <>
      {dispute?.status === 'open' && (
        <Alert color="red" icon={<IconScale aria-hidden />} title={t('escrow.page.objects', { who: called(dispute.raised_by) })}>
          <span className="hf-words">{dispute.reason}</span>
        </Alert>
      )}
      {(isOverridden ? [settlement.note] : notes).map((note) => (
        <Alert key={note} color="gray" icon={<IconScale aria-hidden />} title={t('escrow.page.decided')}>
          <span className="hf-words">{note}</span>
        </Alert>
      ))}
    </>
  );
}

function Missing({ error, onRetry }: { error: Error | null; onRetry: () => void }) {
  const { t } = useTranslation();
  const { user, leave } = useAuth();
  return (
    <Stack maw={560} mx="auto" align="flex-start">
      <Title order={1}>{t('escrow.page.missing')}</Title>
      <FaultAlert error={error} onRetry={onRetry} />
      {error instanceof Fault && error.status === 404 && user && (
        <Text>{t('escrow.page.otherPerson', { id: user.user_id })}</Text>
      )}
      <Group>
        <Button component={Link} to="/" variant="default">
          {t('escrow.page.toEscrows')}
        </Button>
        <Button variant="default" onClick={leave}>
          {t('escrow.page.somebodyElse')}
        </Button>
      </Group>
    </Stack>
  );
}

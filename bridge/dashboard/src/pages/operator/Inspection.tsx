import { Button, Group, Stack, Text } from '@mantine/core';
import { IconRefresh } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useEntries, useInspection, type Entry, type Inspected } from '../../api/operator';
import { useTimeline } from '../../api/live';
import { useEscrow } from '../../api/query';
import type { Escrow } from '../../api/wire';
import { Ago } from '../../components/Ago';
import { CoreWords } from '../../components/CoreWords';
import { Copyable } from '../../components/Copyable';
import { Person } from '../../components/Person';
import { StatusBadge } from '../../components/StatusBadge';
import { Timeline } from '../../components/Timeline';
import { mayDivideAnew } from '../../escrow/action';
import { formatMoney } from '../../escrow/money';
import { sentenceWords } from '../../escrow/sentence';
import { wordsFor } from '../../words';
import { codeWords } from './code';
import classes from './operator.module.css';
import { Panel } from './Panel';
import { Override, RemedyButton } from './Remedies';
import { remedyFor } from './remedy';
import { Table, type Column } from './Table';

const TONES = { AGREES: 'good', DIFFERS: 'alarm', NOT_SEEN: 'held', NOT_RECORDED: 'held' };

/** One escrow as the record has it, beside what Razorpay has, with its postings and events. */
export function Inspection({ id }: { id: string }) {
  const { t } = useTranslation();
  const escrow = useEscrow(id);
  const timeline = useTimeline(id);
  return (
    <>
      <Panel
        title={escrow.data?.title ?? t('operator.lookup.record')}
        query={escrow}
        aside={
          <Button component={Link} to={`/escrows/${id}`} size="compact-sm" variant="default">
            {t('operator.lookup.open')}
          </Button>
        }
      >
        {escrow.data && <Facts escrow={escrow.data} />}
      </Panel>
      <Compared id={id} />
      <Postings id={id} />
      <Panel title={t('operator.lookup.events')} query={timeline}>
        <Timeline events={timeline.events} />
      </Panel>
    </>
  );
}

function Facts({ escrow }: { escrow: Escrow }) {
  const { t } = useTranslation();
  const money = (amount_minor: number) => formatMoney(amount_minor, escrow.currency);
  const facts = {
    amount: money(escrow.amount_minor),
    held: money(escrow.held_minor),
    released: money(escrow.released_minor),
    refunded: money(escrow.refunded_minor),
    fee: money(escrow.fee_minor),
    buyer: <Person id={escrow.buyer_id} />,
    seller: <Person id={escrow.seller_id} />,
    status: <StatusBadge status={escrow.status} />,
    id: <Copyable value={escrow.escrow_id} />,
  };
  return (
    <Stack gap="md">
      <dl className={classes.facts}>
        {(Object.keys(facts) as (keyof typeof facts)[]).map((name) => (
          <div key={name}>
            <dt>{t(`operator.fact.${name}`)}</dt>
            <dd>{facts[name]}</dd>
          </div>
        ))}
      </dl>
      {escrow.attentions.map((item) => (
        <Group key={`${item.code} ${item.milestone_id} ${item.message}`} gap="sm" align="flex-start">
          <span className={classes.code} data-technical>
            {item.code}
          </span>
          <Text size="sm" flex={1} miw={200}>
            {codeWords(item.code)}: {sentenceWords(item.message)}
          </Text>
          <RemedyButton escrow={escrow} item={item} />
          {remedyFor(escrow, item) !== 'override' && canOverride(escrow) && (
            <Override escrow={escrow} item={item} />
          )}
        </Group>
      ))}
    </Stack>
  );
}

function canOverride(escrow: Escrow): boolean {
  return [escrow, ...escrow.milestones].some((one) => mayDivideAnew(escrow, one));
}

function Compared({ id }: { id: string }) {
  const { t } = useTranslation();
  const inspection = useInspection(id);
  const amount = (minor: number | null, currency: string) =>
    minor === null ? '–' : formatMoney(minor, currency);
  const columns: Column<Inspected>[] = [
    {
      label: t('operator.compare.what'),
      cell: (one) => (
        <div className={one.kind === 'ORDER' || one.kind === 'PAYMENT' ? undefined : classes.under}>
          <Text size="sm" fw={560}>
            {wordsFor('operator.kind', one.kind) ?? one.kind}
          </Text>
          <Copyable value={one.id} />
        </div>
      ),
    },
    {
      label: t('operator.compare.says'),
      cell: (one) => (
        <div>
          <span data-technical>{one.status || '–'}</span>
          {one.on_hold && ` · ${t('operator.compare.onHold')}`}
          {one.account_id && (
            <Text size="xs" c="dimmed" data-id>
              {one.account_id}
            </Text>
          )}
        </div>
      ),
    },
    { label: 'Razorpay', cell: (one) => amount(one.found_minor, one.currency), isNumber: true },
    {
      label: t('operator.compare.recorded'),
      cell: (one) => amount(one.recorded_minor, one.currency),
      isNumber: true,
    },
    {
      label: t('operator.compare.verdict'),
      cell: (one) => (
        <div>
          <span className={classes.verdict} data-tone={TONES[one.verdict]} data-verdict={one.verdict}>
            {t(`operator.verdict.${one.verdict}`)}
          </span>
          {one.verdict !== 'AGREES' && (
            <Text size="sm" c="dimmed" mt={2}>
              <CoreWords words={one.message} />
            </Text>
          )}
        </div>
      ),
    },
  ];
  const entities = inspection.data?.entities ?? [];
  return (
    <Panel
      title={t('operator.compare.title')}
      about={t('operator.compare.about')}
      query={inspection}
      aside={
        <Button
          size="compact-sm"
          variant="default"
          leftSection={<IconRefresh size={14} aria-hidden />}
          loading={inspection.isFetching}
          onClick={() => void inspection.refetch()}
        >
          {t('operator.compare.again')}
        </Button>
      }
    >
      {inspection.data && (
        <Text size="sm" c="dimmed">
          {t('operator.compare.asked')} <Ago time={inspection.data.time} />.{' '}
          {inspection.data.isSettling && t('operator.compare.settling')}
        </Text>
      )}
      {entities.length > 0 ? (
        <Table
          label={t('operator.compare.title')}
          columns={columns}
          rows={entities}
          keyOf={(one) => one.id}
        />
      ) : (
        inspection.isSuccess && <Text role="status">{t('operator.compare.nothing')}</Text>
      )}
    </Panel>
  );
}

function Postings({ id }: { id: string }) {
  const { t } = useTranslation();
  const entries = useEntries(id);
  const rows = entries.data?.pages.flatMap((page) => page.items) ?? [];
  const side = (one: Entry, isDebit: boolean) =>
    one.amount_minor > 0 === isDebit ? formatMoney(Math.abs(one.amount_minor), one.currency) : '';
  const columns: Column<Entry>[] = [
    { label: t('operator.ledger.event'), cell: (one) => one.version, isNumber: true },
    { label: t('operator.ledger.account'), cell: (one) => <span data-technical>{one.account}</span> },
    { label: t('operator.ledger.debit'), cell: (one) => side(one, true), isNumber: true },
    { label: t('operator.ledger.credit'), cell: (one) => side(one, false), isNumber: true },
    { label: t('operator.ledger.entity'), cell: (one) => <span data-id>{one.entity_id}</span> },
  ];
  return (
    <Panel title={t('operator.ledger.title')} query={entries}>
      {rows.length > 0 ? (
        <Table
          label={t('operator.ledger.title')}
          columns={columns}
          rows={rows}
          keyOf={(one) => `${one.version}.${one.position}`}
          more={entries}
        />
      ) : (
        entries.isSuccess && <Text>{t('operator.ledger.empty')}</Text>
      )}
    </Panel>
  );
}

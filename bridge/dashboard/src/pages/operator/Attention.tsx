import { Stack, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { operatorKeys, useQueue } from '../../api/operator';
import type { Escrow } from '../../api/wire';
import { Ago } from '../../components/Ago';
import { formatMoney } from '../../escrow/money';
import { sentenceWords } from '../../escrow/sentence';
import { clockTime } from '../../escrow/time';
import { useWebSocket } from '../../hooks/useWebSocket';
import type { AttentionData } from '../../services/websocket';
import { codeWords } from './code';
import classes from './operator.module.css';
import { Panel } from './Panel';
import { RemedyButton } from './Remedies';
import { remedyFor } from './remedy';
import { Table, type Column } from './Table';

/** Events come in bursts: the queue is read once for all that come within this time. */
const REFETCH_DELAY_MS = 500;

interface Row {
  escrow: Escrow;
  item: AttentionData;
}

/** What needs a person, the longest waiting first. */
export function Attention() {
  const { t } = useTranslation();
  const queue = useQueue();
  useQueueFollowsEvents();
  const rows = (queue.data?.pages ?? [])
    .flatMap((page) => page.items)
    .flatMap((escrow) => escrow.attentions.map((item) => ({ escrow, item })))
    .sort((a, b) => (a.item.since ?? '').localeCompare(b.item.since ?? ''));
  const known = rows.filter(isOnlyKnown);
  const open = rows.filter((row) => !isOnlyKnown(row));
  const isEmpty = queue.isSuccess && open.length === 0 && !queue.hasNextPage;
  return (
    <Stack gap="lg">
      <Panel title={t('operator.queue.title')} about={t('operator.queue.about')} query={queue}>
        {isEmpty ? (
          <Text role="status">{t('operator.queue.empty')}</Text>
        ) : (
          <Rows label={t('operator.queue.title')} rows={open} more={queue} />
        )}
      </Panel>
      {known.length > 0 && (
        <Panel title={t('operator.known.title')} about={t('operator.known.about')}>
          <Rows label={t('operator.known.title')} rows={known} />
        </Panel>
      )}
    </Stack>
  );
}

/** A loss that the platform bears stays on record for ever, and waits for nobody. */
function isOnlyKnown({ escrow, item }: Row): boolean {
  return remedyFor(escrow, item) === 'know';
}

interface RowsProps {
  label: string;
  rows: Row[];
  more?: ReturnType<typeof useQueue>;
}

function Rows({ label, rows, more }: RowsProps) {
  const { t } = useTranslation();
  const columns: Column<Row>[] = [
    {
      label: t('operator.queue.what'),
      cell: ({ item }) => (
        <div>
          <Text size="sm" fw={560} span>
            {codeWords(item.code)}
          </Text>{' '}
          <span className={classes.code} data-technical>
            {item.code}
          </span>
          <Text size="sm" c="dimmed">
            {sentenceWords(item.message)}
          </Text>
        </div>
      ),
    },
    {
      label: t('operator.queue.escrow'),
      cell: ({ escrow }) => (
        <div>
          <Link to={`/operator/lookup?id=${escrow.escrow_id}`}>{escrow.title}</Link>
          <Text size="sm" c="dimmed">
            {t('operator.queue.from', { buyer: escrow.buyer_id, seller: escrow.seller_id })}
          </Text>
        </div>
      ),
    },
    {
      label: t('operator.amount'),
      cell: ({ escrow }) => formatMoney(escrow.amount_minor, escrow.currency),
      isNumber: true,
    },
    {
      label: t('operator.queue.since'),
      cell: ({ item }) =>
        item.since && (
          <time dateTime={item.since} title={clockTime(item.since)}>
            <Ago time={item.since} />
          </time>
        ),
    },
    { label: t('operator.queue.remedy'), cell: (row) => <RemedyButton {...row} /> },
  ];
  return (
    <Table
      label={label}
      columns={columns}
      rows={rows}
      keyOf={({ escrow, item }) => `${escrow.escrow_id} ${item.code} ${item.milestone_id} ${item.since}`}
      more={more}
    />
  );
}

function useQueueFollowsEvents(): void {
  const client = useQueryClient();
  const { on } = useWebSocket();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const readSoon = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        void client.invalidateQueries({ queryKey: operatorKeys.queue });
      }, REFETCH_DELAY_MS);
    };
    const offs = (['status_change', 'escrow_update'] as const).map((type) => on(type, readSoon));
    return () => {
      clearTimeout(timer);
      for (const off of offs) off();
    };
  }, [client, on]);
}

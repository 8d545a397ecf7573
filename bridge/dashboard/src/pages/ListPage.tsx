import { Button, Group, Stack, Text, Title, VisuallyHidden } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Link, useSearchParams } from 'react-router';
import { isFiltered, ordersFor, readFilter } from '../api/filter';
import { useEscrows, useTotals } from '../api/list';
import { EscrowRow } from '../components/EscrowRow';
import row from '../components/EscrowRow.module.css';
import { FaultAlert } from '../components/FaultAlert';
import { Columns } from '../components/list/Columns';
import { ExportButton } from '../components/list/ExportButton';
import { Filters } from '../components/list/Filters';
import { Guide } from '../components/list/Guide';
import { Searching, useSearch } from '../components/list/Searching';
import { Skeletons } from '../components/list/Skeletons';
import { useStale } from '../components/useStale';
import { useAuth, type User } from '../contexts/AuthContext';
import { formatMoney } from '../escrow/money';
import { NoticeButton } from '../feedback/NoticeButton';
import { EVERYTHING } from '../services/websocket';
import classes from './ListPage.module.css';
import { usePageTitle } from './title';

const FILTERS = ['q', 'status', 'part', 'attention', 'dates', 'from', 'until'];

export function ListPage() {
  const { t } = useTranslation();
  const { user } = useAuth();
  usePageTitle(t('list.title'));
  return user && <Content user={user} />;
}

function Content({ user }: { user: User }) {
  const { t } = useTranslation();
  const [params, setParams] = useSearchParams();
  const filter = readFilter(params, user);
  const orders = ordersFor(user);
  const list = useEscrows(filter);
  const search = useSearch(filter, list);
  const isStale = useStale(EVERYTHING);
  const set = (names: string[], value: string | null) =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        for (const name of names) next.delete(name);
        if (value) for (const name of names) next.set(name, value);
        return next;
      },
      { replace: true },
    );
  const shown = list.data?.pages.flatMap((page) => page.escrows) ?? [];
  const isNew = list.isSuccess && shown.length === 0 && !list.hasNextPage && !isFiltered(filter);

  return (
    <Stack gap="lg">
      <Group justify="space-between" align="center">
        <div>
          <Title order={1}>{t('list.title')}</Title>
          <Summary isStale={isStale} />
        </div>
        <Group gap="xs">
          <NoticeButton />
          {!isNew && <ExportButton filter={filter} />}
          <Button component={Link} to="/new" leftSection={<IconPlus size={17} aria-hidden />}>
            {t('list.new')}
          </Button>
        </Group>
      </Group>
      {!isNew && (
        <Filters
          filter={filter}
          user={user}
          onChange={(name, value) => set([name], name === 'order' && value === orders[0] ? null : value)}
        />
      )}
      <FaultAlert error={list.error} onRetry={() => void list.refetch()} />
      <VisuallyHidden role="status">
        {list.isSuccess ? t('list.shown', { count: shown.length }) : ''}
      </VisuallyHidden>
      {list.isPending && <Skeletons />}
      {isNew && <Guide />}
      {shown.length > 0 && (
        <div data-busy={list.isPlaceholderData || undefined} className={classes.table}>
          <Columns
            order={filter.order}
            orders={orders}
            onOrder={(order) => set(['order'], order === orders[0] ? null : order)}
          />
          <ul className={row.list}>
            {shown.map((escrow) => (
              <EscrowRow key={escrow.escrow_id} escrow={escrow} isStale={isStale} />
            ))}
          </ul>
        </div>
      )}
      {search.isOn && <Searching reached={search.reached} onStop={search.stop} />}
      {list.isSuccess && shown.length === 0 && !isNew && !search.isOn && (
        <Nothing mayBeMore={list.hasNextPage} onClear={() => set(FILTERS, null)} />
      )}
      {list.hasNextPage && !search.isOn && (
        <Button
          variant="default"
          mx="auto"
          loading={list.isFetchingNextPage}
          onClick={shown.length > 0 ? () => void list.fetchNextPage() : search.goOn}
        >
          {t(shown.length > 0 ? 'list.more' : 'list.further')}
        </Button>
      )}
    </Stack>
  );
}

/** How much is held, and how many escrows wait for the user, over all pages and without the filter. */
function Summary({ isStale }: { isStale: boolean }) {
  const { t } = useTranslation();
  const { data } = useTotals();
  const held = (data?.held ?? []).filter((one) => one.amount_minor > 0);
  const parts = held.map((one) => t('list.held', { amount: formatMoney(one.amount_minor, one.currency) }));
  // Nobody is called upon by what may be over.
  if (data && data.waiting > 0 && !isStale) parts.push(t('list.waiting', { count: data.waiting }));
  if (data?.isPartial) parts.push(t('list.partial'));
  return (
    <Text c="dimmed" className={classes.summary}>
      {parts.join(' · ')}
    </Text>
  );
}

function Nothing({ mayBeMore, onClear }: { mayBeMore: boolean; onClear: () => void }) {
  const { t } = useTranslation();
  return (
    <div className={classes.empty}>
      <Title order={2} size="h3">
        {t(mayBeMore ? 'list.nothingYet' : 'list.nothing')}
      </Title>
      <Text c="dimmed" mb="md">
        {t(mayBeMore ? 'list.nothingYetWhy' : 'list.nothingWhy')}
      </Text>
      <Button variant="default" onClick={onClear}>
        {t('list.clear')}
      </Button>
    </div>
  );
}

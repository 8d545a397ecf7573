import { Button, Group, Select, Skeleton, Stack, Text, TextInput, Title, VisuallyHidden } from '@mantine/core';
import { IconPlus, IconSearch } from '@tabler/icons-react';
import { useMemo } from 'react';
import { Link, useSearchParams } from 'react-router';
import type { EscrowPage } from '../api/cache';
import { useEscrows } from '../api/query';
import type { Escrow } from '../api/wire';
import { EscrowRow } from '../components/EscrowRow';
import { FaultAlert } from '../components/FaultAlert';
import { useStale } from '../components/useStale';
import { useAuth, type User } from '../contexts/AuthContext';
import { partOf, turnOf } from '../escrow/action';
import { formatMoney } from '../escrow/money';
import { STATUS_WORDS, STATUSES } from '../escrow/word';
import { EVERYTHING } from '../services/websocket';
import classes from './ListPage.module.css';
import { usePageTitle } from './title';

const PARTS = [
  { value: 'buyer', label: 'I buy' },
  { value: 'seller', label: 'I sell' },
  { value: 'arbiter', label: 'I arbitrate' },
  { value: 'turn', label: 'Waiting for me' },
];

interface Filter {
  text: string;
  part: string;
}

export function ListPage() {
  usePageTitle('Escrows');
  const [params, setParams] = useSearchParams();
  const status = params.get('status') ?? '';
  const filter = { text: params.get('q') ?? '', part: params.get('part') ?? '' };
  const list = useEscrows(status);
  const isStale = useStale(EVERYTHING);
  const { user } = useAuth();
  const shown = useMemo(() => {
    const all = list.data?.pages.flatMap((page) => page.escrows) ?? [];
    const wanted = { text: params.get('q') ?? '', part: params.get('part') ?? '' };
    return user ? all.filter((one) => passes(one, status, wanted, user)) : [];
  }, [list.data, params, status, user]);

  const set = (name: string, value: string | null) =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  const isFiltered = status !== '' || filter.text !== '' || filter.part !== '';

  return (
    <Stack gap="lg">
      <Group justify="space-between" align="center">
        <div>
          <Title order={1}>Escrows</Title>
          {user && list.data && !list.hasNextPage && (
            <Summary pages={list.data.pages} user={user} isStale={isStale} />
          )}
        </div>
        <Button component={Link} to="/new" leftSection={<IconPlus size={17} aria-hidden />}>
          New escrow
        </Button>
      </Group>
      <search className={classes.filters}>
        <TextInput
          aria-label="Search by title, person or id"
          placeholder="Search by title, person or id"
          leftSection={<IconSearch size={17} aria-hidden />}
          value={filter.text}
          onChange={(event) => set('q', event.currentTarget.value)}
        />
        <Select
          aria-label="Status"
          placeholder="Any status"
          clearable
          data={STATUSES.map((value) => ({ value, label: STATUS_WORDS[value] }))}
          value={status || null}
          onChange={(value) => set('status', value)}
        />
        <Select
          aria-label="My part"
          placeholder="Any part"
          clearable
          data={PARTS}
          value={filter.part || null}
          onChange={(value) => set('part', value)}
        />
      </search>
      <FaultAlert error={list.error} onRetry={() => void list.refetch()} />
      <VisuallyHidden role="status">
        {list.isSuccess ? `${shown.length} escrows shown` : ''}
      </VisuallyHidden>
      {list.isPending ? (
        <Rows />
      ) : shown.length > 0 ? (
        <ul className={classes.list}>
          {shown.map((escrow) => (
            <EscrowRow key={escrow.escrow_id} escrow={escrow} isStale={isStale} />
          ))}
        </ul>
      ) : (
        list.isSuccess && <Empty isFiltered={isFiltered} />
      )}
      {list.hasNextPage && (
        <Button
          variant="default"
          mx="auto"
          loading={list.isFetchingNextPage}
          onClick={() => void list.fetchNextPage()}
        >
          Show older escrows
        </Button>
      )}
    </Stack>
  );
}

/** How much is held, and how many escrows wait for the user. Shown only if all are loaded. */
function Summary({ pages, user, isStale }: { pages: EscrowPage[]; user: User; isStale: boolean }) {
  const all = pages.flatMap((page) => page.escrows);
  const held_minor = all.reduce((sum, one) => sum + one.held_minor, 0);
  const waiting = all.filter((one) => turnOf(one, user)).length;
  const parts = [
    held_minor > 0 && `${formatMoney(held_minor)} held`,
    // Nobody is called upon by what may be over.
    waiting > 0 && !isStale && `${waiting} ${waiting === 1 ? 'waits' : 'wait'} for you`,
  ];
  return (
    <Text c="dimmed" className={classes.summary}>
      {parts.filter(Boolean).join(' · ')}
    </Text>
  );
}

function passes(escrow: Escrow, status: string, { text, part }: Filter, user: User): boolean {
  // The server filters too, but an event may have changed the status since.
  if (status && escrow.status !== status) return false;
  if (part === 'turn' && !turnOf(escrow, user)) return false;
  if (part && part !== 'turn' && partOf(escrow, user) !== part) return false;
  const searched = [escrow.title, escrow.escrow_id, escrow.buyer_id, escrow.seller_id];
  return searched.some((one) => one.toLowerCase().includes(text.trim().toLowerCase()));
}

function Rows() {
  return (
    <Stack gap="sm" aria-busy aria-label="Loading">
      {[0, 1, 2].map((row) => (
        <Skeleton key={row} height={84} radius="lg" />
      ))}
    </Stack>
  );
}

function Empty({ isFiltered }: { isFiltered: boolean }) {
  return (
    <div className={classes.empty}>
      <Title order={2} size="h3">
        {isFiltered ? 'Nothing matches' : 'No escrows yet'}
      </Title>
      <Text c="dimmed">
        {isFiltered
          ? 'Try other words, or clear the filters.'
          : 'When you agree on one, or somebody agrees on one with you, it appears here by itself.'}
      </Text>
    </div>
  );
}

import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useState, type SyntheticEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useSearchParams } from 'react-router';
import { useFound } from '../../api/operator';
import type { Escrow } from '../../api/wire';
import { StatusBadge } from '../../components/StatusBadge';
import { formatMoney } from '../../escrow/money';
import { Inspection } from './Inspection';
import { Panel } from './Panel';
import { Table, type Column } from './Table';

/** Any escrow by any id, with Razorpay's side beside the record. */
export function Lookup() {
  const { t } = useTranslation();
  const [params, setParams] = useSearchParams();
  const query = params.get('q') ?? '';
  const id = params.get('id') ?? '';
  const [text, setText] = useState(query || id);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    setParams(text.trim() ? { q: text.trim() } : {});
  };
  return (
    <Stack gap="lg">
      <Panel title={t('operator.lookup.title')} about={t('operator.lookup.about')}>
        <form onSubmit={submit} role="search">
          <Group align="flex-end" gap="sm" wrap="nowrap">
            <TextInput
              flex={1}
              label={t('operator.lookup.id')}
              placeholder="pay_…"
              maxLength={200}
              autoComplete="off"
              spellCheck={false}
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
            />
            <Button type="submit" leftSection={<IconSearch size={16} aria-hidden />}>
              {t('operator.lookup.find')}
            </Button>
          </Group>
        </form>
      </Panel>
      {query && <Found key={query} query={query} />}
      {id && !query && <Inspection key={id} id={id} />}
    </Stack>
  );
}

function Found({ query }: { query: string }) {
  const { t } = useTranslation();
  const found = useFound(query);
  const escrows = found.data?.pages.flatMap((page) => page.items) ?? [];
  const [only] = escrows;
  if (only && escrows.length === 1) return <Inspection id={only.escrow_id} />;
  const columns: Column<Escrow>[] = [
    {
      label: t('operator.queue.escrow'),
      cell: (one) => <Link to={`/operator/lookup?id=${one.escrow_id}`}>{one.title}</Link>,
    },
    {
      label: t('operator.lookup.people'),
      cell: (one) => t('operator.queue.from', { buyer: one.buyer_id, seller: one.seller_id }),
    },
    {
      label: t('operator.amount'),
      cell: (one) => formatMoney(one.amount_minor, one.currency),
      isNumber: true,
    },
    { label: t('operator.status'), cell: (one) => <StatusBadge status={one.status} /> },
  ];
  return (
    <Panel title={t('operator.lookup.found')} query={found}>
      {escrows.length > 0 ? (
        <Table
          label={t('operator.lookup.found')}
          columns={columns}
          rows={escrows}
          keyOf={(one) => one.escrow_id}
          more={found}
        />
      ) : (
        found.isSuccess && <Text role="status">{t('operator.lookup.nothing')}</Text>
      )}
    </Panel>
  );
}

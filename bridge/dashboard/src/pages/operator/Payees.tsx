import { Button, Group, Stack, Switch, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import { useCommand } from '../../api/command';
import { operatorKeys, usePayees } from '../../api/operator';
import { payeePath, usePayee, type Payee } from '../../api/query';
import { Copyable } from '../../components/Copyable';
import { FaultAlert } from '../../components/FaultAlert';
import { Person } from '../../components/Person';
import { clockTime, moment } from '../../escrow/time';
import { Panel } from './Panel';
import { Table, type Column } from './Table';

const ACCOUNT = /^acc_[A-Za-z0-9]{14}$/;

/** Where sellers are paid. */
export function Payees() {
  const [params] = useSearchParams();
  const user = params.get('user') ?? '';
  return (
    <Stack gap="lg">
      <Name key={user} user={user} />
      <List />
    </Stack>
  );
}

function Name({ user }: { user: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const present = usePayee(user, user !== '');
  const save = useCommand<{ payee: Payee }>();
  const form = useForm({
    initialValues: { user_id: user, account_id: '' },
    validate: {
      user_id: (value) => (value.trim() ? null : t('operator.payees.noUser')),
      account_id: (value) => (ACCOUNT.test(value.trim()) ? null : t('operator.payees.noAccount')),
    },
  });
  const submit = form.onSubmit(({ user_id, account_id }) =>
    save.mutate(
      { path: payeePath(user_id.trim()), method: 'PUT', body: { account_id: account_id.trim() } },
      { onSuccess: () => client.invalidateQueries({ queryKey: operatorKeys.all }) },
    ),
  );
  const named = save.data?.payee;
  return (
    <Panel title={t('operator.payees.name')} about={t('operator.payees.nameAbout')}>
      {user && present.isSuccess && (
        <Text size="sm">
          {present.data
            ? t('operator.payees.paidTo', { user, account: present.data.account_id })
            : t('operator.payees.none', { user })}
        </Text>
      )}
      <form onSubmit={submit} noValidate>
        <Group align="flex-start" gap="sm">
          <TextInput
            flex={1}
            miw={180}
            label={t('operator.payees.user')}
            autoComplete="off"
            spellCheck={false}
            {...form.getInputProps('user_id')}
          />
          <TextInput
            flex={1}
            miw={220}
            label={t('operator.payees.account')}
            placeholder="acc_ABCDEFGHIJ1234"
            autoComplete="off"
            spellCheck={false}
            {...form.getInputProps('account_id')}
          />
          <Button type="submit" mt={25} loading={save.isPending}>
            {t('operator.payees.save')}
          </Button>
        </Group>
      </form>
      <FaultAlert error={save.error} isForOperators />
      {named && (
        <Text role="status" size="sm">
          {named.pending_time
            ? t('operator.payees.waits', { user: named.user_id, time: moment(named.pending_time) })
            : t('operator.payees.counts', { user: named.user_id, account: named.account_id })}
        </Text>
      )}
    </Panel>
  );
}

function List() {
  const { t } = useTranslation();
  const [waiting, setWaiting] = useState(false);
  const payees = usePayees(waiting);
  const rows = payees.data?.pages.flatMap((page) => page.items) ?? [];
  const columns: Column<Payee & { effective_time?: string }>[] = [
    { label: t('operator.payees.user'), cell: (one) => <Person id={one.user_id} /> },
    { label: t('operator.payees.account'), cell: (one) => <Copyable value={one.account_id} /> },
    {
      label: t('operator.payees.since'),
      cell: (one) => one.effective_time && <span title={clockTime(one.effective_time)}>{moment(one.effective_time)}</span>,
    },
    {
      label: t('operator.payees.change'),
      cell: (one) =>
        one.pending_time &&
        t('operator.payees.becomes', {
          account: one.pending_account_id ?? '',
          time: moment(one.pending_time),
        }),
    },
  ];
  return (
    <Panel
      title={t('operator.payees.title')}
      query={payees}
      aside={
        <Switch
          label={t('operator.payees.onlyWaiting')}
          checked={waiting}
          onChange={(event) => setWaiting(event.currentTarget.checked)}
        />
      }
    >
      {rows.length > 0 ? (
        <Table
          label={t('operator.payees.title')}
          columns={columns}
          rows={rows}
          keyOf={(one) => one.user_id}
          more={payees}
        />
      ) : (
        payees.isSuccess && <Text role="status">{t('operator.payees.empty')}</Text>
      )}
    </Panel>
  );
}

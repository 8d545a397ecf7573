import { Button, Select, Stack, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useCommand } from '../../api/command';
import { operatorKeys, useDeliveries, type Delivery, type Endpoint } from '../../api/operator';
import { bareName } from '../../api/wire';
import { CoreWords } from '../../components/CoreWords';
import { FaultAlert } from '../../components/FaultAlert';
import { moment } from '../../escrow/time';
import classes from './operator.module.css';
import { Panel } from './Panel';
import { Table, type Column } from './Table';

const STATES = ['PENDING', 'DELIVERED', 'FAILED'] as const;
const TONES: Record<string, string> = { PENDING: 'held', DELIVERED: 'good', FAILED: 'alarm' };

/** What was and is to be sent to one endpoint, newest first. */
export function Deliveries({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const [state, setState] = useState('');
  const deliveries = useDeliveries(endpoint.endpoint_id, state);
  const rows = deliveries.data?.pages.flatMap((page) => page.items) ?? [];
  const columns: Column<Delivery>[] = [
    {
      label: t('operator.hooks.event'),
      cell: (one) => (
        <div>
          <span data-technical>{bareName(one.type, 'EVENT_TYPE_').toLowerCase()}</span>
          {one.escrow_id && (
            <Text size="xs">
              <Link to={`/operator/lookup?id=${one.escrow_id}`}>
                {one.escrow_id.slice(0, 8)}… · {one.version}
              </Link>
            </Text>
          )}
        </div>
      ),
    },
    { label: t('operator.hooks.state'), cell: (one) => <State delivery={one} /> },
    { label: t('operator.hooks.tries'), cell: (one) => one.attempts ?? 0, isNumber: true },
    { label: t('operator.hooks.next'), cell: (one) => one.next_time && moment(one.next_time) },
    {
      label: t('operator.hooks.answer'),
      cell: (one) => <Answer delivery={one} />,
    },
    {
      label: t('operator.hooks.deeds'),
      cell: (one) => !endpoint.disabled && <Again delivery={one} />,
    },
  ];
  return (
    <Panel
      title={t('operator.hooks.deliveriesOf', { url: endpoint.url })}
      query={deliveries}
      aside={
        <Select
          aria-label={t('operator.hooks.state')}
          placeholder={t('operator.hooks.anyState')}
          clearable
          size="xs"
          data={STATES.map((value) => ({ value, label: t(`operator.hooks.delivery.${value}`) }))}
          value={state || null}
          onChange={(value) => setState(value ?? '')}
        />
      }
    >
      {rows.length > 0 ? (
        <Table
          label={t('operator.hooks.deliveries')}
          columns={columns}
          rows={rows}
          keyOf={(one) => one.delivery_id}
          more={deliveries}
        />
      ) : (
        deliveries.isSuccess && <Text role="status">{t('operator.hooks.noDeliveries')}</Text>
      )}
    </Panel>
  );
}

function Answer({ delivery: { last_status, last_problem } }: { delivery: Delivery }) {
  return (
    <div>
      {last_status || ''} {last_problem && <CoreWords words={last_problem} />}
    </div>
  );
}

function State({ delivery }: { delivery: Delivery }) {
  const { t } = useTranslation();
  const state = STATES.find((one) => delivery.state === `DELIVERY_STATE_${one}`) ?? 'PENDING';
  return (
    <span className={classes.verdict} data-tone={TONES[state]}>
      {t(`operator.hooks.delivery.${state}`)}
    </span>
  );
}

function Again({ delivery }: { delivery: Delivery }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const command = useCommand();
  const send = () =>
    command.mutate(
      { path: `/api/v1/webhooks/deliveries/${delivery.delivery_id}:redeliver`, body: {} },
      { onSuccess: () => client.invalidateQueries({ queryKey: operatorKeys.all }) },
    );
  return (
    <Stack gap={6} align="flex-start">
      <Button size="compact-sm" variant="default" loading={command.isPending} onClick={send}>
        {t('operator.hooks.again')}
      </Button>
      <FaultAlert error={command.error} isForOperators />
    </Stack>
  );
}

import { Button, Stack, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useCommand, commandPath } from '../../api/command';
import { operatorKeys } from '../../api/operator';
import type { Escrow } from '../../api/wire';
import { FaultAlert } from '../../components/FaultAlert';
import { ResolveDialog } from '../../components/ResolveDialog';
import type { AttentionData } from '../../services/websocket';
import { milestoneToDivide, remedyFor } from './remedy';

interface Props {
  escrow: Escrow;
  item: AttentionData;
}

/** The one thing to do about it. */
export function RemedyButton({ escrow, item }: Props) {
  const { t } = useTranslation();
  const remedy = remedyFor(escrow, item);
  if (remedy === 'wait' || remedy === 'know') {
    return (
      <Text size="sm" c="dimmed">
        {t(`operator.remedy.${remedy}`)}
      </Text>
    );
  }
  if (remedy === 'override') return <Override escrow={escrow} item={item} />;
  if (remedy === 'retry' || remedy === 'compare' || remedy === 'bear') {
    return <Retry escrow={escrow} label={t(`operator.remedy.${remedy}`)} />;
  }
  const to =
    remedy === 'account'
      ? `/operator/payees?user=${encodeURIComponent(escrow.seller_id)}`
      : `/operator/lookup?id=${escrow.escrow_id}`;
  return (
    <Button component={Link} to={to} size="compact-sm" variant="default">
      {t(`operator.remedy.${remedy}`)}
    </Button>
  );
}

export function Retry({ escrow, label }: { escrow: Escrow; label: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const command = useCommand();
  const retry = () =>
    command.mutate(
      { path: commandPath(escrow.escrow_id, 'retry'), body: {} },
      { onSettled: () => client.invalidateQueries({ queryKey: operatorKeys.all }) },
    );
  return (
    <Stack gap={6} align="flex-start">
      <Button size="compact-sm" variant="default" loading={command.isPending} onClick={retry}>
        {label}
      </Button>
      {command.isSuccess && (
        <Text size="xs" c="dimmed" role="status">
          {t('operator.remedy.asked')}
        </Text>
      )}
      <FaultAlert error={command.error} isForOperators />
    </Stack>
  );
}

export function Override({ escrow, item }: Props) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button size="compact-sm" variant="default" onClick={() => setOpen(true)}>
        {t('operator.remedy.override')}
      </Button>
      {isOpen && (
        <ResolveDialog
          escrow={escrow}
          action={{ verb: 'override', milestone: milestoneToDivide(escrow, item) }}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  );
}

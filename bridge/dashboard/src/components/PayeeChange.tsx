import { Alert, Button, Code, Group, Text } from '@mantine/core';
import { IconBuildingBank } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { Trans, useTranslation } from 'react-i18next';
import { keys } from '../api/cache';
import { useCommand } from '../api/command';
import { payeePath, usePayee, type Payee } from '../api/query';
import { useAuth } from '../contexts/AuthContext';
import { moment } from '../escrow/time';
import { FaultAlert } from './FaultAlert';

/** Tells sellers, in each of their sessions, that their account is about to change. Absent otherwise. */
export function PayeeChange() {
  const { user } = useAuth();
  const userId = user?.user_id ?? '';
  const payee = usePayee(userId, user !== null).data;
  return payee?.pending_account_id ? <Change userId={userId} payee={payee} /> : null;
}

function Change({ userId, payee }: { userId: string; payee: Payee }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const callOff = useCommand<{ payee: Payee }>();
  const keep = () =>
    callOff.mutate(
      { path: `${payeePath(userId)}/change:cancel`, body: {} },
      {
        onSuccess: (answer) => client.setQueryData(keys.payee(userId), answer.payee),
        // It may have been called off in another session, or the wait may be over.
        onError: () => void client.invalidateQueries({ queryKey: keys.payee(userId) }),
      },
    );
  return (
    <Alert
      role="alert"
      color="yellow"
      icon={<IconBuildingBank aria-hidden />}
      title={t('notice.change.title')}
      mb="lg"
    >
      <Group gap="sm">
        <Text size="sm" className="hf-words">
          <Trans
            t={t}
            i18nKey={payee.pending_time ? 'notice.change.from' : 'notice.change.soon'}
            values={{ at: payee.pending_time ? moment(payee.pending_time) : '' }}
            components={{
              new: <Code>{payee.pending_account_id}</Code>,
              old: <Code>{payee.account_id}</Code>,
            }}
          />
        </Text>
        <Button size="compact-sm" loading={callOff.isPending} onClick={keep}>
          {t('notice.change.keep')}
        </Button>
      </Group>
      <FaultAlert error={callOff.error} />
    </Alert>
  );
}

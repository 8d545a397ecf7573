import { Alert, Button, Code, Group, Text } from '@mantine/core';
import { IconBuildingBank } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
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
      title="The account you are paid to is about to change"
      mb="lg"
    >
      <Group gap="sm">
        <Text size="sm" className="hf-words">
          From {payee.pending_time ? moment(payee.pending_time) : 'soon'} on you are paid to{' '}
          <Code>{payee.pending_account_id}</Code> instead of <Code>{payee.account_id}</Code>. If this was
          not you, keep the old account, and ask for help.
        </Text>
        <Button size="compact-sm" loading={callOff.isPending} onClick={keep}>
          Keep the old account
        </Button>
      </Group>
      <FaultAlert error={callOff.error} />
    </Alert>
  );
}

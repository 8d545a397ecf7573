import { Button, Code, Group, Skeleton, Stack, Text, TextInput, Title } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQueryClient } from '@tanstack/react-query';
import { keys } from '../api/cache';
import { useCommand } from '../api/command';
import { payeePath, usePayee, type Payee } from '../api/query';
import { FaultAlert } from '../components/FaultAlert';
import { useAuth, type User } from '../contexts/AuthContext';
import { usePageTitle } from './title';

const ACCOUNT = /^acc_[A-Za-z0-9]{14}$/;

export function SettingsPage() {
  usePageTitle('Settings');
  const { user } = useAuth();
  return (
    <Stack maw={620} gap="lg">
      <Title order={1}>Settings</Title>
      {user && <PayeeCard user={user} />}
    </Stack>
  );
}

function PayeeCard({ user }: { user: User }) {
  const payee = usePayee(user.user_id);
  return (
    <Stack className="hf-card" p="xl" gap="md" component="section" aria-labelledby="payee">
      <div>
        <Title order={2} size="h3" id="payee">
          Where you are paid
        </Title>
        <Text c="dimmed" size="sm" mt={4}>
          Money for what you sell is paid to your Razorpay linked account. Your first account counts at
          once, and a payout that waits for it goes on. A change counts after a wait, in which you can
          call it off.
        </Text>
      </div>
      <FaultAlert error={payee.error} onRetry={() => void payee.refetch()} />
      {payee.isPending && <Skeleton height={64} />}
      {payee.isSuccess && (
        <>
          <Text role="status">
            {payee.data ? (
              <>
                You are paid to <Code>{payee.data.account_id}</Code>.
              </>
            ) : (
              'No account yet.'
            )}
          </Text>
          <PayeeForm user={user} />
        </>
      )}
    </Stack>
  );
}

function PayeeForm({ user }: { user: User }) {
  const client = useQueryClient();
  const save = useCommand<{ payee: Payee }>();
  const form = useForm({
    initialValues: { account_id: '' },
    validate: {
      account_id: (value) =>
        ACCOUNT.test(value.trim())
          ? null
          : 'A linked account is acc_ followed by 14 letters or digits.',
    },
  });
  const submit = form.onSubmit(({ account_id }) =>
    save.mutate(
      {
        path: payeePath(user.user_id),
        method: 'PUT',
        body: { account_id: account_id.trim() },
      },
      {
        onSuccess: ({ payee }) => {
          client.setQueryData(keys.payee(user.user_id), payee);
          form.reset();
        },
      },
    ),
  );
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <TextInput
          label="Linked account"
          placeholder="acc_ABCDEFGHIJ1234"
          autoComplete="off"
          spellCheck={false}
          {...form.getInputProps('account_id')}
        />
        <FaultAlert error={save.error} />
        <Group>
          <Button type="submit" loading={save.isPending}>
            Save account
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

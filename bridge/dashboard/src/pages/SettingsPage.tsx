import { Button, Code, Group, Skeleton, Stack, Text, TextInput, Title } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQueryClient } from '@tanstack/react-query';
import { Trans, useTranslation } from 'react-i18next';
import { keys } from '../api/cache';
import { useCommand } from '../api/command';
import { payeePath, usePayee, type Payee } from '../api/query';
import { FaultAlert } from '../components/FaultAlert';
import { LanguageChoice } from '../components/LanguageChoice';
import { useAuth, type User } from '../contexts/AuthContext';
import { usePageTitle } from './title';

const ACCOUNT = /^acc_[A-Za-z0-9]{14}$/;

export function SettingsPage() {
  const { t } = useTranslation();
  usePageTitle(t('settings.title'));
  const { user } = useAuth();
  return (
    <Stack maw={620} gap="lg">
      <Title order={1}>{t('settings.title')}</Title>
      {user && <PayeeCard user={user} />}
      <LanguageCard />
    </Stack>
  );
}

function LanguageCard() {
  const { t } = useTranslation();
  return (
    <Stack className="hf-card" p="xl" gap="md" component="section" aria-labelledby="language">
      <div>
        <Title order={2} size="h3" id="language">
          {t('settings.language')}
        </Title>
        <Text c="dimmed" size="sm" mt={4}>
          {t('settings.languageAbout')}
        </Text>
      </div>
      <Group>
        <LanguageChoice />
      </Group>
    </Stack>
  );
}

function PayeeCard({ user }: { user: User }) {
  const { t } = useTranslation();
  const payee = usePayee(user.user_id);
  return (
    <Stack className="hf-card" p="xl" gap="md" component="section" aria-labelledby="payee">
      <div>
        <Title order={2} size="h3" id="payee">
          {t('settings.paid')}
        </Title>
        <Text c="dimmed" size="sm" mt={4}>
          {t('settings.about')}
        </Text>
      </div>
      <FaultAlert error={payee.error} onRetry={() => void payee.refetch()} />
      {payee.isPending && <Skeleton height={64} />}
      {payee.isSuccess && (
        <>
          <Text role="status">
            {payee.data ? (
              <Trans
                t={t}
                i18nKey="settings.paidTo"
                components={{ account: <Code>{payee.data.account_id}</Code> }}
              />
            ) : (
              t('settings.none')
            )}
          </Text>
          <PayeeForm user={user} />
        </>
      )}
    </Stack>
  );
}

function PayeeForm({ user }: { user: User }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const save = useCommand<{ payee: Payee }>();
  const form = useForm({
    initialValues: { account_id: '' },
    validate: {
      account_id: (value) =>
        ACCOUNT.test(value.trim()) ? null : t('settings.malformed'),
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
          label={t('settings.account')}
          placeholder="acc_ABCDEFGHIJ1234"
          autoComplete="off"
          spellCheck={false}
          {...form.getInputProps('account_id')}
        />
        <FaultAlert error={save.error} />
        <Group>
          <Button type="submit" loading={save.isPending}>
            {t('settings.save')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

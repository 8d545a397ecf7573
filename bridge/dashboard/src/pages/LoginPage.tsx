import { Alert, Button, Divider, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { IconInfoCircle } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState, type SyntheticEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { request } from '../api/http';
import { useConfig } from '../api/query';
import { FaultAlert } from '../components/FaultAlert';
import { LanguageChoice } from '../components/LanguageChoice';
import { Mark } from '../components/Mark';
import { useAuth } from '../contexts/AuthContext';
import classes from './LoginPage.module.css';
import { usePageTitle } from './title';

const CAST = [
  { user_id: 'asha', roles: ['user'], name: 'login.name.asha' },
  { user_id: 'ravi', roles: ['user'], name: 'login.name.ravi' },
  { user_id: 'meera', roles: ['user'], name: 'login.name.meera' },
  { user_id: 'admin', roles: ['admin'], name: null },
] as const;

export function LoginPage() {
  const { t } = useTranslation();
  usePageTitle(t('login.title'));
  const { ended } = useAuth();
  const config = useConfig();
  return (
    <main className={classes.page}>
      <div className={classes.panel}>
        <div className={classes.brand}>
          <Mark size={40} />
          <Title order={1}>Holdfast</Title>
        </div>
        <Text c="dimmed" mb="xl">
          {t('login.about')}
        </Text>
        {ended && (
          <Alert mb="lg" role="alert" color="yellow" icon={<IconInfoCircle aria-hidden />}>
            {t(`login.ended.${ended}`)}
          </Alert>
        )}
        {config.data?.demo_login && <DemoLogin />}
        {!config.isPending && <TokenLogin />}
        {!config.isPending && (
          <div className={classes.language}>
            <LanguageChoice />
          </div>
        )}
      </div>
    </main>
  );
}

function DemoLogin() {
  const { t } = useTranslation();
  const { login } = useAuth();
  const [name, setName] = useState('');
  const enter = useMutation({
    mutationFn: (body: { user_id: string; roles: string[]; name?: string }) =>
      request<{ token: string }>('/api/v1/demo/token', { method: 'POST', body }),
    onSuccess: ({ token }) => login(token),
  });
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (name.trim()) enter.mutate({ user_id: name.trim(), roles: ['user'] });
  };
  return (
    <Stack gap="md">
      <Title order={2} size="h4">
        {t('login.as')}
      </Title>
      <div className={classes.cast}>
        {CAST.map((who) => (
          <button
            key={who.user_id}
            type="button"
            className={classes.person}
            disabled={enter.isPending}
            onClick={() =>
              enter.mutate({ user_id: who.user_id, roles: [...who.roles], ...(who.name && { name: t(who.name) }) })
            }
          >
            <span className={classes.name}>{who.user_id}</span>
            <span className={classes.is}>{t(`login.cast.${who.user_id}`)}</span>
          </button>
        ))}
      </div>
      <form onSubmit={submit} className={classes.row}>
        <TextInput
          label={t('login.other')}
          placeholder={t('login.anyName')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          autoComplete="off"
        />
        <Button type="submit" variant="default" loading={enter.isPending}>
          {t('login.comeIn')}
        </Button>
      </form>
      <FaultAlert error={enter.error} />
      <Divider my="xs" label={t('login.orToken')} />
    </Stack>
  );
}

function TokenLogin() {
  const { t } = useTranslation();
  const { login } = useAuth();
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState('');
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    try {
      login(token);
    } catch (error) {
      setProblem(t(error instanceof RangeError ? 'login.problem.expired' : 'login.problem.noToken'));
    }
  };
  return (
    <form onSubmit={submit} className={classes.row}>
      <PasswordInput
          visibilityToggleButtonProps={{ 'aria-label': t('login.showToken') }}
        label={t('login.token')}
        placeholder={t('login.pasteToken')}
        value={token}
        error={problem !== ''}
        aria-describedby="token-problem"
        onChange={(event) => {
          setToken(event.currentTarget.value);
          setProblem('');
        }}
        autoComplete="off"
      />
      <Button type="submit" variant="default" disabled={!token.trim()}>
        {t('login.title')}
      </Button>
      <Text id="token-problem" role="alert" size="sm" c="var(--mantine-color-error)" className={classes.problem}>
        {problem}
      </Text>
    </form>
  );
}

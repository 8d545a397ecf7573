import { Alert, Button, Divider, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { IconInfoCircle } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState, type SyntheticEvent } from 'react';
import { request } from '../api/http';
import { useConfig } from '../api/query';
import { FaultAlert } from '../components/FaultAlert';
import { Mark } from '../components/Mark';
import { useAuth } from '../contexts/AuthContext';
import classes from './LoginPage.module.css';
import { usePageTitle } from './title';

const CAST = [
  { user_id: 'asha', roles: ['user'], is: 'buys' },
  { user_id: 'ravi', roles: ['user'], is: 'sells' },
  { user_id: 'meera', roles: ['user'], is: 'arbitrates' },
  { user_id: 'admin', roles: ['admin'], is: 'runs the place' },
];

const ENDED = {
  expired: 'Your session has ended. Log in again to go on.',
  refused: 'The server did not accept this token.',
};

export function LoginPage() {
  usePageTitle('Log in');
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
          Money held between buyer and seller until both are content. Every step, as it happens.
        </Text>
        {ended && (
          <Alert mb="lg" role="alert" color="yellow" icon={<IconInfoCircle aria-hidden />}>
            {ENDED[ended]}
          </Alert>
        )}
        {config.data?.demo_login && <DemoLogin />}
        <TokenLogin />
      </div>
    </main>
  );
}

function DemoLogin() {
  const { login } = useAuth();
  const [name, setName] = useState('');
  const enter = useMutation({
    mutationFn: (body: { user_id: string; roles: string[] }) =>
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
        Come in as
      </Title>
      <div className={classes.cast}>
        {CAST.map(({ is, ...who }) => (
          <button
            key={who.user_id}
            type="button"
            className={classes.person}
            disabled={enter.isPending}
            onClick={() => enter.mutate(who)}
          >
            <span className={classes.name}>{who.user_id}</span>
            <span className={classes.is}>{is}</span>
          </button>
        ))}
      </div>
      <form onSubmit={submit} className={classes.row}>
        <TextInput
          label="or as somebody else"
          placeholder="any name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          autoComplete="off"
        />
        <Button type="submit" variant="default" loading={enter.isPending}>
          Come in
        </Button>
      </form>
      <FaultAlert error={enter.error} />
      <Divider my="xs" label="or with a token" />
    </Stack>
  );
}

function TokenLogin() {
  const { login } = useAuth();
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState('');
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    try {
      login(token);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <form onSubmit={submit} className={classes.row}>
      <PasswordInput
        label="Token"
        placeholder="Paste your access token"
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
        Log in
      </Button>
      <Text id="token-problem" role="alert" size="sm" c="red" className={classes.problem}>
        {problem}
      </Text>
    </form>
  );
}

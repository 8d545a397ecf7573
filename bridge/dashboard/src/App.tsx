import { Alert, MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { AuthProvider, useAuth } from './contexts/AuthContext';
import { Fault } from './api/http';
import { Shell } from './components/Shell';
import { forgetNames } from './escrow/person';
import { LoginPage } from './pages/LoginPage';
import { Rooms } from './pages/pages';
import { addressProblem } from './services/address';
import { theme } from './theme';

const RETRIES_MAX = 4;
/** How often a call is made again that has failed because the server was away. */
const HEAL_EVERY_MS = 15_000;

export function App() {
  const { t } = useTranslation();
  const [problem] = useState(addressProblem);
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto">
      {problem ? (
        <Alert role="alert" color="red" title={t('escrow.page.notSetUp')} m="lg">
          {problem}
        </Alert>
      ) : (
        <AuthProvider>
          <Session />
        </AuthProvider>
      )}
    </MantineProvider>
  );
}

function Session() {
  const { user, isArriving } = useAuth();
  if (isArriving) return <Shell />;
  return (
    // A new user starts with an empty cache, so that nothing of the previous user is shown.
    <Queries key={user?.user_id ?? ''}>
      {user ? <Suspense fallback={<Shell />}><Rooms /></Suspense> : <LoginPage />}
    </Queries>
  );
}

function Queries({ children }: { children: React.ReactNode }) {
  const [client] = useState(makeClient);
  return <QueryClientProvider client={client}>{children}</QueryClientProvider>;
}

function makeClient(): QueryClient {
  forgetNames();
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        retry: (count, error) => isPassing(error) && count < RETRIES_MAX,
        refetchInterval: ({ state }) => state.status === 'error' && isPassing(state.error) && HEAL_EVERY_MS,
      },
    },
  });
}

function isPassing(error: Error | null): boolean {
  return error instanceof Fault && error.isPassing;
}

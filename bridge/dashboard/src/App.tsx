import { Alert, MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { useState } from 'react';
import { createBrowserRouter, RouterProvider } from 'react-router';
import { AuthProvider, useAuth } from './contexts/AuthContext';
import { Fault } from './api/http';
import { Frame } from './components/Frame';
import { CreatePage } from './pages/CreatePage';
import { EscrowPage } from './pages/EscrowPage';
import { ListPage } from './pages/ListPage';
import { LoginPage } from './pages/LoginPage';
import { MissingPage } from './pages/MissingPage';
import { SettingsPage } from './pages/SettingsPage';
import { addressProblem } from './services/address';
import { theme } from './theme';

const RETRIES_MAX = 4;
/** How often a call is made again that has failed because the server was away. */
const HEAL_EVERY_MS = 15_000;

const router = createBrowserRouter([
  {
    element: <Frame />,
    errorElement: <MissingPage />,
    children: [
      { path: '/', element: <ListPage /> },
      { path: '/new', element: <CreatePage /> },
      { path: '/escrows/:id', element: <EscrowPage /> },
      { path: '/settings', element: <SettingsPage /> },
      { path: '*', element: <MissingPage /> },
    ],
  },
]);

export function App() {
  const [problem] = useState(addressProblem);
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto">
      {problem ? (
        <Alert role="alert" color="red" title="This page is not set up" m="lg">
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
  if (isArriving) return null;
  return (
    // A new user starts with an empty cache, so that nothing of the previous user is shown.
    <Queries key={user?.user_id ?? ''}>
      {user ? <RouterProvider router={router} /> : <LoginPage />}
    </Queries>
  );
}

function Queries({ children }: { children: React.ReactNode }) {
  const [client] = useState(makeClient);
  return <QueryClientProvider client={client}>{children}</QueryClientProvider>;
}

function makeClient(): QueryClient {
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

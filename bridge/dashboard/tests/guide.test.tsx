// @vitest-environment jsdom
/** The examples of the guide for dashboard authors: they must work under these names. */
import { act, cleanup, render, screen, waitFor } from '@testing-library/react';
import { StrictMode, useEffect, useState } from 'react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket as Socket } from 'ws';
import { MantineProvider } from '@mantine/core';
import { ConnectionBanner, ConnectionState } from '../src/components/ConnectionState';
import { AuthProvider, useAuth } from '../src/contexts/AuthContext';
import { useEscrowUpdates, useWebSocket } from '../src/hooks/useWebSocket';
import { wsService, type EscrowData } from '../src/services/websocket';
import { FakeBridge } from './bridge';

let bridge: FakeBridge;

beforeEach(async () => {
  bridge = await FakeBridge.start();
  bridge.add('e1', ['asha']);
  bridge.add('e2', ['asha']);
  // jsdom's own socket dispatches events that Node refuses; this one is as real.
  vi.stubGlobal('WebSocket', Socket);
  vi.stubEnv('VITE_API_URL', bridge.url);
  wsService.configure({ intervalMs: 20, refreshToken: undefined });
});

afterEach(async () => {
  cleanup();
  wsService.disconnect();
  sessionStorage.clear();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  await bridge.close();
});

async function settled(what: string, condition: () => boolean): Promise<void> {
  await waitFor(() => expect(condition(), what).toBe(true), { timeout: 5_000, interval: 5 });
}

async function connected(): Promise<void> {
  wsService.connect(bridge.token('asha'));
  await settled('connected', () => wsService.status === 'connected');
}

function asked(escrowId: string): boolean {
  return bridge.heard.some((f) => f.type === 'subscribe' && f.escrow_id === escrowId);
}

test('the address comes from VITE_API_URL, and the socket can be inspected in the console', async () => {
  await connected();
  expect(wsService.ws?.url).toBe(`${bridge.url.replace('http:', 'ws:')}/api/v1/ws`);
  expect(wsService.ws?.readyState).toBe(1);
  wsService.ping();
  await settled('the ping', () => bridge.heard.some((f) => f.type === 'ping'));
});

test('a page that uses the hook shows each new status', async () => {
  function DetailPage() {
    const [escrow, setEscrow] = useState<Partial<EscrowData> | null>(null);
    useEscrowUpdates('e1', (message) => {
      if (message.type === 'escrow_update') {
        setEscrow((prev) => ({ ...prev, status: message.data.status }));
      }
    });
    return <h1>Escrow Status: {escrow?.status}</h1>;
  }
  await connected();
  render(<DetailPage />);
  await settled('the subscription', () => asked('e1'));
  bridge.advance('e1', 'payment_captured', 'HELD');
  expect(await screen.findByText('Escrow Status: HELD')).toBeTruthy();
});

test('a component may subscribe, listen and clean up by hand', async () => {
  const updates: number[] = [];
  function ByHand() {
    const { subscribe, unsubscribe, on } = useWebSocket();
    useEffect(() => {
      subscribe('e1');
      const stopListening = on('escrow_update', (message) => {
        updates.push(message.version);
      });
      return () => {
        unsubscribe('e1');
        stopListening();
      };
    }, [subscribe, unsubscribe, on]);
    return null;
  }
  await connected();
  const { unmount } = render(<ByHand />);
  await settled('the subscription', () => asked('e1'));
  bridge.advance('e1');
  await settled('the update', () => updates.length === 1);
  unmount();
  expect([...wsService.subscriptions]).toEqual([]);
  await settled('the farewell', () => bridge.heard.some((f) => f.type === 'unsubscribe'));
  bridge.advance('e1');
  expect(updates).toEqual([2]);
});

test('connected, disconnected and error are events like the others', async () => {
  const heard: string[] = [];
  function Listener() {
    const { on } = useWebSocket();
    useEffect(() => {
      const undos = [
        on('connected', () => heard.push('connected')),
        on('disconnected', () => heard.push('disconnected')),
        on('error', (error) => heard.push(error.code)),
      ];
      return () => undos.forEach((undo) => undo());
    }, [on]);
    return null;
  }
  render(<Listener />);
  await connected();
  wsService.subscribe('nobody-knows');
  await settled('the error', () => heard.includes('ESCROW_NOT_FOUND'));
  wsService.unsubscribe('nobody-knows');
  bridge.cut();
  await settled('back', () => heard.filter((h) => h === 'connected').length === 2);
  expect(heard).toEqual(['connected', 'ESCROW_NOT_FOUND', 'disconnected', 'connected']);
});

test('a page does not say that it is live while the server gets no events', async () => {
  // jsdom has none, and Mantine asks it for the colour scheme.
  vi.stubGlobal('matchMedia', () => Object.assign(new EventTarget(), { matches: false }));
  render(
    <MantineProvider>
      <ConnectionState />
      <ConnectionBanner />
    </MantineProvider>,
  );
  await connected();
  expect(await screen.findByText('Live')).toBeTruthy();
  act(() => bridge.tellLive(false));
  expect(await screen.findByText('Catching up')).toBeTruthy();
  expect(await screen.findByText(/New changes do not arrive at the moment/)).toBeTruthy();
  expect(wsService.status).toBe('connected');
  act(() => bridge.tellLive(true));
  expect(await screen.findByText('Live')).toBeTruthy();
  expect(screen.queryByText(/New changes do not arrive/)).toBeNull();
  act(() => bridge.tellLive(false));
  expect(await screen.findByText('Catching up')).toBeTruthy();
  // A new connection knows nothing of what the old one was told.
  bridge.cut();
  expect(await screen.findByText('Live')).toBeTruthy();
});

test('a list merges the data of every update into its rows', async () => {
  function Dashboard() {
    const [escrows, setEscrows] = useState<(Partial<EscrowData> & { id: string })[]>([
      { id: 'e1' },
      { id: 'e2' },
    ]);
    const { on, subscribe } = useWebSocket();
    useEffect(() => {
      subscribe('e1');
      subscribe('e2');
      return on('escrow_update', (message) => {
        setEscrows((prev) =>
          prev.map((one) => (one.id === message.escrow_id ? { ...one, ...message.data } : one)),
        );
      });
    }, [on, subscribe]);
    return escrows.map(({ id, status }) => (
      <p key={id}>
        {id}: {status ?? '–'}
      </p>
    ));
  }
  await connected();
  render(<Dashboard />);
  await settled('both subscriptions', () => asked('e1') && asked('e2'));
  bridge.advance('e2', 'payment_captured', 'HELD');
  expect(await screen.findByText('e2: HELD')).toBeTruthy();
  expect(screen.getByText('e1: –')).toBeTruthy();
  wsService.unsubscribe('e1');
  wsService.unsubscribe('e2');
});

test('logging in connects, and logging out disconnects', async () => {
  let auth!: ReturnType<typeof useAuth>;
  function Who() {
    auth = useAuth();
    const { status } = useWebSocket();
    return (
      <p>
        {auth.user?.user_id ?? 'nobody'} {status}
      </p>
    );
  }
  render(
    <StrictMode>
      <AuthProvider>
        <Who />
      </AuthProvider>
    </StrictMode>,
  );
  expect(screen.getByText('nobody disconnected')).toBeTruthy();
  act(() => auth.login(bridge.token('asha')));
  expect(await screen.findByText('asha connected')).toBeTruthy();
  expect(bridge.handshakes).toHaveLength(1);
  act(() => auth.logout());
  expect(await screen.findByText('nobody disconnected')).toBeTruthy();
  await settled('gone', () => bridge.connections === 0);
});

test('when the server ends a session, the user is logged out and sees why', async () => {
  let auth!: ReturnType<typeof useAuth>;
  function Who() {
    auth = useAuth();
    return <p>{auth.ended ?? auth.user?.user_id ?? 'nobody'}</p>;
  }
  render(
    <AuthProvider>
      <Who />
    </AuthProvider>,
  );
  act(() => auth.login(bridge.token('asha')));
  await settled('connected', () => wsService.status === 'connected');
  bridge.cut(4401);
  expect(await screen.findByText('expired')).toBeTruthy();
  expect(auth.token).toBeNull();
});

test('a refreshed token is kept for the next page load, without a new connection', async () => {
  const fresh = bridge.token('asha', 7200);
  let auth!: ReturnType<typeof useAuth>;
  function Who() {
    auth = useAuth();
    return null;
  }
  render(
    <AuthProvider refreshToken={() => Promise.resolve(fresh)}>
      <Who />
    </AuthProvider>,
  );
  act(() => auth.login(bridge.token('asha', 60)));
  await settled('connected', () => wsService.status === 'connected');
  bridge.tell({ type: 'error', code: 'TOKEN_EXPIRING', message: '30 s left', retry: false });
  await settled('the fresh token', () => auth.token === fresh);
  expect(bridge.handshakes).toHaveLength(1);
});

test('an expired token, or what is not a token, is refused before it is sent', async () => {
  // A connection before this one has told what the server's time is.
  await connected();
  wsService.disconnect();
  const before = bridge.handshakes.length;
  let auth!: ReturnType<typeof useAuth>;
  function Who() {
    auth = useAuth();
    return null;
  }
  render(
    <AuthProvider>
      <Who />
    </AuthProvider>,
  );
  expect(() => auth.login('nonsense')).toThrow('This is not a token.');
  expect(() => auth.login(bridge.token('asha', -1))).toThrow('This token has expired.');
  expect(bridge.handshakes).toHaveLength(before);
});

test("StrictMode's double mount makes one subscription, and two components share it", async () => {
  const heard = new Map<string, number[]>();
  function Watcher({ name }: { name: string }) {
    useEscrowUpdates('e1', (message) => {
      if (message.type === 'escrow_update') {
        heard.set(name, [...(heard.get(name) ?? []), message.version]);
      }
    });
    return null;
  }
  await connected();
  render(
    <StrictMode>
      <Watcher name="a" />
      <Watcher name="b" />
    </StrictMode>,
  );
  await settled('the subscription', () => asked('e1'));
  bridge.advance('e1');
  await settled('both', () => heard.size === 2);
  expect([...heard]).toEqual([
    ['a', [2]],
    ['b', [2]],
  ]);
  expect(bridge.heard.map((f) => f.type)).toEqual(['subscribe']);
});

test('a burst in one turn of the loop reaches the handler frame by frame', async () => {
  const versions: number[] = [];
  let renders = 0;
  function Watcher() {
    const [last, setLast] = useState(0);
    renders += 1;
    useEscrowUpdates('e1', (message) => {
      if (message.type !== 'escrow_update') return;
      versions.push(message.version);
      setLast(message.version);
    });
    return <p>version {last}</p>;
  }
  await connected();
  render(<Watcher />);
  await settled('the subscription', () => asked('e1'));
  for (let n = 0; n < 100; n += 1) bridge.advance('e1');
  expect(await screen.findByText('version 101')).toBeTruthy();
  expect(versions).toEqual(Array.from({ length: 100 }, (_, n) => n + 2));
  expect(renders).toBeGreaterThan(1);
});

test('the newest handler is called, without a new subscription', async () => {
  const heard: string[] = [];
  function Watcher({ name }: { name: string }) {
    useEscrowUpdates('e1', (message) => {
      if (message.type === 'escrow_update') heard.push(name);
    });
    return null;
  }
  await connected();
  const { rerender } = render(<Watcher name="old" />);
  await settled('the subscription', () => asked('e1'));
  rerender(<Watcher name="new" />);
  bridge.advance('e1');
  await settled('the update', () => heard.length === 1);
  expect(heard).toEqual(['new']);
  expect(bridge.heard.map((f) => f.type)).toEqual(['subscribe']);
});

test('it reconnects at once when the network is back, and when the page becomes visible', async () => {
  wsService.configure({ intervalMs: 60_000 });
  await connected();
  window.dispatchEvent(new Event('offline'));
  expect(wsService.status).toBe('reconnecting');
  window.dispatchEvent(new Event('online'));
  await settled('back online', () => wsService.status === 'connected');
  bridge.cut();
  await settled('lost', () => wsService.status === 'reconnecting');
  document.dispatchEvent(new Event('visibilitychange'));
  await settled('looked at', () => wsService.status === 'connected');
});

test('after a final close code the page does not reconnect by itself', async () => {
  await connected();
  bridge.cut(4403);
  await settled('refused', () => wsService.status === 'disconnected');
  document.dispatchEvent(new Event('visibilitychange'));
  window.dispatchEvent(new Event('online'));
  expect(wsService.status).toBe('disconnected');
  expect(bridge.handshakes).toHaveLength(1);
});

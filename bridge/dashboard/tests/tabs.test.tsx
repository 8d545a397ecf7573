// @vitest-environment jsdom
/** Tabs of one browser, each with a service of its own. Locks are tried in a real Chromium only. */
import { act, cleanup, render, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket as Socket } from 'ws';
import { AuthProvider, useAuth, type Auth } from '../src/contexts/AuthContext';
import { wsService, WebSocketService } from '../src/services/websocket';
import { FakeBridge } from './bridge';
import { until } from './wait';

let bridge: FakeBridge;
let others: WebSocketService[];
let auth: Auth;

beforeEach(async () => {
  bridge = await FakeBridge.start();
  // jsdom's own socket dispatches events that Node refuses; this one is as real.
  vi.stubGlobal('WebSocket', Socket);
  vi.stubEnv('VITE_API_URL', bridge.url);
  others = [];
});

afterEach(async () => {
  cleanup();
  for (const service of [wsService, ...others]) service.disconnect();
  wsService.configure({ refreshToken: undefined });
  sessionStorage.clear();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  await bridge.close();
});

/** Another tab, in which this token's user is logged in. */
async function otherTab(token: string): Promise<WebSocketService> {
  const service = new WebSocketService();
  others.push(service);
  service.configure({ intervalMs: 20 });
  service.connect(token);
  await until('connected', () => service.status === 'connected');
  return service;
}

function Who() {
  auth = useAuth();
  if (auth.isArriving) return <p>arriving</p>;
  return <p>{auth.user?.user_id ?? 'nobody'}</p>;
}

function openTab(): void {
  render(
    <AuthProvider>
      <Who />
    </AuthProvider>,
  );
}

test('a fresh token of one tab is taken by the others on their open connections', async () => {
  const [old, fresh] = [bridge.token('asha', 60), bridge.token('asha', 7200)];
  const first = await otherTab(old);
  const second = await otherTab(old);
  first.configure({ refreshToken: () => Promise.resolve(fresh) });
  bridge.tell({ type: 'error', code: 'TOKEN_EXPIRING', message: '30 s left', retry: false });
  await until('both', () => first.token === fresh && second.token === fresh);
  expect(bridge.handshakes).toHaveLength(2);
});

test('a token of another user is not taken', async () => {
  const [old, fresh] = [bridge.token('asha', 60), bridge.token('asha', 7200)];
  const first = await otherTab(old);
  const second = await otherTab(bridge.token('ravi', 60));
  first.configure({ refreshToken: () => Promise.resolve(fresh) });
  bridge.tell({ type: 'error', code: 'TOKEN_EXPIRING', message: '30 s left', retry: false });
  await until('the first', () => first.token === fresh);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(second.token).not.toBe(fresh);
  expect(bridge.heard.filter((frame) => frame.type === 'auth')).toHaveLength(1);
});

test('a new tab needs no login', async () => {
  await otherTab(bridge.token('asha'));
  openTab();
  expect(screen.getByText('arriving')).toBeTruthy();
  expect(await screen.findByText('asha')).toBeTruthy();
  await until('connected', () => wsService.status === 'connected');
});

test('a new tab beside none asks for a login', async () => {
  openTab();
  expect(await screen.findByText('nobody')).toBeTruthy();
});

test('a new tab beside two users asks who it is', async () => {
  await otherTab(bridge.token('asha'));
  await otherTab(bridge.token('ravi'));
  openTab();
  expect(await screen.findByText('nobody')).toBeTruthy();
});

test('who logs out is logged out of every tab, and of nobody else’s', async () => {
  const same = await otherTab(bridge.token('asha'));
  openTab();
  expect(await screen.findByText('asha')).toBeTruthy();
  const ravi = await otherTab(bridge.token('ravi'));
  act(() => auth.logout());
  expect(await screen.findByText('nobody')).toBeTruthy();
  await until('the other tab', () => same.status === 'disconnected');
  expect(ravi.status).toBe('connected');
});

test('a tab whose user logs out elsewhere shows the login, also after a reload', async () => {
  const other = await otherTab(bridge.token('asha'));
  openTab();
  expect(await screen.findByText('asha')).toBeTruthy();
  act(() => other.logout());
  expect(await screen.findByText('nobody')).toBeTruthy();
  cleanup();
  await otherTab(bridge.token('asha'));
  openTab();
  expect(screen.getByText('nobody')).toBeTruthy();
});

test('who leaves one tab stays logged in in the others', async () => {
  const other = await otherTab(bridge.token('asha'));
  openTab();
  expect(await screen.findByText('asha')).toBeTruthy();
  act(() => auth.leave());
  expect(await screen.findByText('nobody')).toBeTruthy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(other.status).toBe('connected');
});

test('without a BroadcastChannel each tab is by itself, and renews for itself', async () => {
  vi.stubGlobal('BroadcastChannel', undefined);
  const old = bridge.token('asha', 60);
  const tabs = [await otherTab(old), await otherTab(old)];
  let asked = 0;
  for (const tab of tabs) {
    tab.configure({
      refreshToken: () => {
        asked += 1;
        return Promise.resolve(bridge.token('asha', 7200));
      },
    });
  }
  bridge.tell({ type: 'error', code: 'TOKEN_EXPIRING', message: '30 s left', retry: false });
  await until('both', () => tabs.every((tab) => tab.token !== old));
  expect(asked).toBe(2);
});

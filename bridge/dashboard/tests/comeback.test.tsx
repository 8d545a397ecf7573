// @vitest-environment jsdom
/** Coming back after a loss that lasts: what a visible page does, and a hidden one. */
import { MantineProvider } from '@mantine/core';
import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket as Socket } from 'ws';
import { ConnectionBanner } from '../src/components/ConnectionState';
import { wsService, type ReconnectingMessage } from '../src/services/websocket';
import { FakeBridge } from './bridge';
import { until } from './wait';

const SLOW_MS = 60;
let bridge: FakeBridge;
let plans: ReconnectingMessage[];
let stopListening: () => void;

beforeEach(async () => {
  bridge = await FakeBridge.start();
  // jsdom's own socket dispatches events that Node refuses; this one is as real.
  vi.stubGlobal('WebSocket', Socket);
  vi.stubEnv('VITE_API_URL', bridge.url);
  wsService.configure({ intervalMs: 5, maxAttempts: 2, slowIntervalMs: SLOW_MS });
  plans = [];
  stopListening = wsService.on('reconnecting', (plan) => plans.push(plan));
  wsService.connect(bridge.token('asha'));
  await until('connected', () => wsService.status === 'connected');
  bridge.refuseWith = 1011;
});

afterEach(async () => {
  cleanup();
  stopListening();
  wsService.disconnect();
  wsService.configure({ intervalMs: 20, maxAttempts: 5, slowIntervalMs: 30_000 });
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  await bridge.close();
});

function look(state: DocumentVisibilityState): void {
  vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state);
  document.dispatchEvent(new Event('visibilitychange'));
}

/** Loses the connection, and waits until a hidden page has stopped trying. */
async function loseHidden(): Promise<number> {
  look('hidden');
  bridge.cut();
  await until('both quick attempts', () => bridge.handshakes.length === 3);
  await new Promise((resolve) => setTimeout(resolve, 3 * SLOW_MS));
  return bridge.handshakes.length;
}

test('a visible page goes on trying slowly after the quick attempts, and comes back', async () => {
  bridge.cut();
  await until('two slow attempts', () => plans.length >= 4);
  expect(plans.map((plan) => plan.is_slow).slice(0, 4)).toEqual([false, false, true, true]);
  expect(plans.map((plan) => plan.max_attempts).slice(0, 4)).toEqual([2, 2, 2, 2]);
  expect(plans[2]?.delay_ms).toBeGreaterThanOrEqual(0.75 * SLOW_MS);
  expect(wsService.status).toBe('reconnecting');
  bridge.refuseWith = null;
  await until('connected', () => wsService.status === 'connected');
});

test('the page says that it keeps trying, and counts only the quick attempts', async () => {
  // jsdom has none, and Mantine asks it for the colour scheme.
  vi.stubGlobal('matchMedia', () => Object.assign(new EventTarget(), { matches: false }));
  wsService.configure({ intervalMs: 200 });
  render(
    <MantineProvider>
      <ConnectionBanner />
    </MantineProvider>,
  );
  bridge.cut();
  expect(await screen.findByText(/Attempt 2 of 2\./)).toBeTruthy();
  expect(await screen.findByText(/keeps trying, but less often/)).toBeTruthy();
  expect(screen.queryByText(/Attempt/)).toBeNull();
});

test('a hidden page stops after the quick attempts, and tries when it is shown', async () => {
  expect(await loseHidden()).toBe(3);
  expect(wsService.status).toBe('reconnecting');
  bridge.refuseWith = null;
  look('visible');
  await until('connected', () => wsService.status === 'connected');
});

test('a hidden page tries when the network returns, without being shown', async () => {
  expect(await loseHidden()).toBe(3);
  bridge.refuseWith = null;
  window.dispatchEvent(new Event('online'));
  await until('connected', () => wsService.status === 'connected');
  expect(document.visibilityState).toBe('hidden');
});

test('a page that is hidden between two slow attempts makes the next one when it is shown', async () => {
  bridge.cut();
  await until('a slow attempt', () => plans.some((plan) => plan.is_slow));
  look('hidden');
  await new Promise((resolve) => setTimeout(resolve, 2 * SLOW_MS));
  const before = bridge.handshakes.length;
  await new Promise((resolve) => setTimeout(resolve, 3 * SLOW_MS));
  expect(bridge.handshakes).toHaveLength(before);
  bridge.refuseWith = null;
  look('visible');
  await until('connected', () => wsService.status === 'connected');
});

test('without slow attempts it gives up after the quick ones', async () => {
  wsService.configure({ slowIntervalMs: Infinity });
  bridge.cut();
  await until('the end', () => wsService.status === 'disconnected');
  expect(bridge.handshakes).toHaveLength(3);
});

// @vitest-environment jsdom
/** Components that come late, or come back, and a login with a fresh token: nothing of the gap is lost. */
import { cleanup, render, screen } from '@testing-library/react';
import { StrictMode, useState } from 'react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket as Socket } from 'ws';
import { useEscrowUpdates, type EscrowMessage } from '../src/hooks/useWebSocket';
import { wsService } from '../src/services/websocket';
import { FakeBridge } from './bridge';
import { until } from './wait';

let bridge: FakeBridge;
/** What each component was told, by its name. */
let told: Map<string, EscrowMessage[]>;

beforeEach(async () => {
  bridge = await FakeBridge.start();
  for (const id of ['e1', 'e2', 'e3']) bridge.add(id, ['asha']);
  // jsdom's own socket dispatches events that Node refuses; this one is as real.
  vi.stubGlobal('WebSocket', Socket);
  vi.stubEnv('VITE_API_URL', bridge.url);
  wsService.configure({ intervalMs: 20 });
  told = new Map();
  await login('asha');
});

afterEach(async () => {
  cleanup();
  wsService.disconnect();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  await bridge.close();
});

async function login(user: string): Promise<void> {
  const before = bridge.handshakes.length;
  wsService.connect(bridge.token(user));
  await until('connected', () => wsService.status === 'connected' && bridge.handshakes.length > before);
}

function Watcher({ name, id = 'e1' }: { name: string; id?: string }) {
  const [version, setVersion] = useState(0);
  useEscrowUpdates(id, (message) => {
    told.set(name, [...(told.get(name) ?? []), message]);
    if ('version' in message && message.version !== undefined) setVersion(message.version);
  });
  return <p>{`${name} sees ${version}`}</p>;
}

function versionsOf(name: string): (number | undefined)[] {
  return (told.get(name) ?? []).map((message) => ('version' in message ? message.version : undefined));
}

function subscribes(): unknown[] {
  return bridge.heard.filter((frame) => frame.type === 'subscribe');
}

test('a second component on an escrow gets its last state at once, and then each event once', async () => {
  render(<Watcher name="first" />);
  await screen.findByText('first sees 1');
  bridge.advance('e1', 'payment_captured', 'HELD');
  await screen.findByText('first sees 2');
  render(<Watcher name="second" />);
  expect(screen.getByText('second sees 2')).toBeTruthy();
  expect(told.get('second')).toMatchObject([
    { type: 'subscribed', escrow_id: 'e1', version: 2, data: { status: 'HELD' } },
  ]);
  bridge.advance('e1');
  await screen.findByText('second sees 3');
  expect(versionsOf('second')).toEqual([2, 3]);
  expect(subscribes()).toHaveLength(1);
});

test('with StrictMode too', async () => {
  render(<Watcher name="first" />);
  await screen.findByText('first sees 1');
  render(
    <StrictMode>
      <Watcher name="second" />
    </StrictMode>,
  );
  expect(screen.getByText('second sees 1')).toBeTruthy();
  expect(subscribes()).toHaveLength(1);
});

test('one that is mounted again long after shows what is known, and then what has happened', async () => {
  const { unmount } = render(<Watcher name="first" />);
  await screen.findByText('first sees 1');
  unmount();
  await until('the farewell', () => bridge.heard.some((frame) => frame.type === 'unsubscribe'));
  bridge.advance('e1');
  render(<Watcher name="second" />);
  expect(screen.getByText('second sees 1')).toBeTruthy();
  await screen.findByText('second sees 2');
  bridge.advance('e1');
  await screen.findByText('second sees 3');
  expect(versionsOf('second')).toEqual([1, 2, 3]);
});

test('one that is mounted without a connection shows what is known', async () => {
  render(<Watcher name="first" />);
  await screen.findByText('first sees 1');
  bridge.refuseWith = 1011;
  bridge.cut();
  await until('the loss', () => wsService.status === 'reconnecting');
  render(<Watcher name="second" />);
  expect(screen.getByText('second sees 1')).toBeTruthy();
});

test('an escrow that only * has told of is known too', async () => {
  render(<Watcher name="all" id="*" />);
  await until('the answer', () => versionsOf('all').length === 4);
  bridge.advance('e2');
  await until('an event', () => versionsOf('all').length === 5);
  render(<Watcher name="one" id="e2" />);
  expect(screen.getByText('one sees 2')).toBeTruthy();
});

test('a second component on * gets all that is known, and then the answer', async () => {
  render(<Watcher name="first" id="*" />);
  await until('the answer', () => versionsOf('first').length === 4);
  bridge.advance('e1');
  await screen.findByText('first sees 2');
  render(<Watcher name="second" id="*" />);
  const known = (told.get('second') ?? []).map((message) => [message.escrow_id, message.type]);
  expect(known).toEqual([
    ['e2', 'subscribed'],
    ['e3', 'subscribed'],
    ['e1', 'subscribed'],
    ['*', 'subscribed'],
  ]);
  expect(subscribes()).toHaveLength(1);
});

test('when nobody has looked at * for a while, only the bridge says what there is', async () => {
  const { unmount } = render(<Watcher name="first" id="*" />);
  await until('the answer', () => versionsOf('first').length === 4);
  unmount();
  await until('the farewell', () => bridge.heard.some((frame) => frame.type === 'unsubscribe'));
  render(<Watcher name="second" id="*" />);
  expect(versionsOf('second')).toEqual([]);
  await until('the answer', () => versionsOf('second').length === 4);
});

test('a login with a fresh token of the same user misses nothing of the gap', async () => {
  render(<Watcher name="first" />);
  await screen.findByText('first sees 1');
  bridge.refuseWith = 1011;
  bridge.cut();
  for (let n = 2; n <= 4; n += 1) bridge.advance('e1', 'note', undefined, true);
  bridge.refuseWith = null;
  await login('asha');
  await until('the gap', () => versionsOf('first').includes(4));
  bridge.advance('e1');
  await screen.findByText('first sees 5');
  const events = (told.get('first') ?? []).filter((message) => message.type === 'escrow_update');
  expect(events.map((event) => event.version)).toEqual([2, 3, 4, 5]);
  expect(subscribes().at(-1)).toMatchObject({ escrow_id: 'e1', after: 1 });
});

test('another user is shown nothing of what the previous one had seen', async () => {
  bridge.add('theirs', ['asha', 'ravi']);
  const { unmount } = render(<Watcher name="first" id="theirs" />);
  await screen.findByText('first sees 1');
  unmount();
  await login('ravi');
  expect(wsService.known('theirs')).toEqual([]);
  expect(wsService.known('e1')).toEqual([]);
});

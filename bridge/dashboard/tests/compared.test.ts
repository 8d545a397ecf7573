// @vitest-environment node
/** Live means compared: when it is said, everything that was missed has come. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocketService } from '../src/services/websocket';
import { FakeBridge } from './bridge';
import { until } from './wait';

const RETRY_MS = 20;
let bridge: FakeBridge;
let service: WebSocketService;

beforeEach(async () => {
  bridge = await FakeBridge.start();
  for (const id of ['e1', 'e2']) bridge.add(id, ['asha']);
  service = new WebSocketService();
  service.configure({ address: bridge.address, intervalMs: RETRY_MS });
  service.subscribe('e1');
  service.subscribe('*');
  service.connect(bridge.token('asha'));
  await until('live', () => service.isLive);
});

afterEach(async () => {
  service.disconnect();
  await bridge.close();
});

/** Whether it was ever live before a condition came true. */
async function liveBefore(what: string, condition: () => boolean): Promise<boolean> {
  let wasLive = service.isLive;
  const stop = service.onStatus(() => {
    wasLive ||= service.isLive && !condition();
  });
  await until(what, condition);
  stop();
  return wasLive;
}

test('after a loss it is live when the last subscription is answered, and not before', async () => {
  const seen: number[] = [];
  service.on('escrow_update', (update) => seen.push(update.version));
  bridge.isWithholding = true;
  bridge.cut();
  bridge.advance('e1', 'note', undefined, true);
  await until('the loss', () => service.status === 'reconnecting');
  await until('connected', () => service.status === 'connected');
  expect(service.isLive).toBe(false);
  expect(service.isCompared('e1')).toBe(false);
  await until('both questions', () => asked('e1') === 2 && asked('*') === 2);
  bridge.answer('e1');
  await until('one', () => service.isCompared('e1'));
  expect(seen).toEqual([2]);
  expect(service.isLive).toBe(false);
  bridge.answer('*');
  await until('live', () => service.isLive);
});

test('a subscription that the bridge could not make for now is waited for', async () => {
  bridge.nextError = { code: 'UNAVAILABLE', message: 'Core is away.', retry: true };
  bridge.cut();
  await until('the loss', () => service.status === 'reconnecting');
  expect(await liveBefore('the second try', () => asked('e1') === 3)).toBe(false);
  await until('live', () => service.isLive);
});

test('one that is refused for good is not waited for', async () => {
  bridge.nextError = { code: 'ESCROW_NOT_FOUND', message: 'There is none.', retry: false };
  bridge.cut();
  await until('the loss', () => service.status === 'reconnecting');
  await until('live', () => service.isLive);
  expect(service.isCompared('e1')).toBe(false);
  expect(service.isCompared('*')).toBe(true);
});

test('one that nobody wants any more is not waited for', async () => {
  bridge.isWithholding = true;
  bridge.cut();
  await until('the loss', () => service.status === 'reconnecting');
  await until('the question', () => asked('*') === 2);
  bridge.answer('*');
  service.unsubscribe('e1');
  await until('live', () => service.isLive);
});

test('a new subscription makes nothing else less live', async () => {
  bridge.isWithholding = true;
  service.subscribe('e2');
  await until('the question', () => asked('e2') === 1);
  expect(service.isLive).toBe(true);
  expect(service.isCompared('e2')).toBe(false);
  bridge.answer('e2');
  await until('the answer', () => service.isCompared('e2'));
});

test('while the bridge hears nothing from core, nothing is compared', async () => {
  let changes = 0;
  service.onStatus(() => (changes += 1));
  bridge.tellLive(false);
  await until('the word', () => !service.isLive);
  expect(service.isCompared('e1')).toBe(false);
  expect(service.status).toBe('connected');
  bridge.tellLive(true);
  await until('live', () => service.isLive);
  expect(service.isCompared('e1')).toBe(true);
  expect(changes).toBeGreaterThanOrEqual(2);
});

function asked(escrowId: string): number {
  return bridge.heard.filter((frame) => frame.type === 'subscribe' && frame.escrow_id === escrowId).length;
}

// @vitest-environment node
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocketService, type EscrowUpdateFrame, type Message } from '../src/services/websocket';
import { Bridge, FakeBridge, isLive, open } from './bridge';
import { until } from './wait';

const RETRY_MS = 20;
let bridge: Bridge;
let service: WebSocketService;
let heard: Message[];

function versions(escrowId: string): number[] {
  const updates = heard.filter((m): m is EscrowUpdateFrame => m.type === 'escrow_update');
  return updates.filter((m) => m.escrow_id === escrowId).map((m) => m.version);
}

function of(type: string): Message[] {
  return heard.filter((m) => m.type === type);
}

function make(address: string): WebSocketService {
  const made = new WebSocketService();
  made.configure({ address, intervalMs: RETRY_MS });
  made.on('*', (message) => heard.push(message));
  return made;
}

beforeEach(async () => {
  heard = [];
  bridge = await open();
  service = make(bridge.address);
});

afterEach(async () => {
  service.disconnect();
  await bridge.close();
});

async function connect(user: string): Promise<void> {
  service.connect(await bridge.user(user));
  await until('connected', () => service.status === 'connected');
}

async function subscribed(escrowId: string): Promise<void> {
  await until(`subscribed ${escrowId}`, () =>
    of('subscribed').some((m) => 'escrow_id' in m && m.escrow_id === escrowId),
  );
}

describe('against any bridge', () => {
  test('a token connects, and the socket is open', async () => {
    await connect('asha');
    expect(service.ws?.readyState).toBe(1);
    expect(of('connected')).toMatchObject([{ user_id: 'asha' }]);
  });

  test('a ping is answered', async () => {
    await connect('asha');
    service.ping();
    await until('pong', () => of('pong').length === 1);
  });

  test('a subscriber gets a snapshot and then each event once and in order', async () => {
    const id = await bridge.create('asha', 'ravi');
    await connect('asha');
    service.subscribe(id);
    await subscribed(id);
    for (let n = 0; n < 3; n += 1) await bridge.publish(id);
    await until('three updates', () => versions(id).length === 3);
    expect(versions(id)).toEqual([2, 3, 4]);
    expect(of('subscribed')).toMatchObject([{ version: 1, data: { status: 'INITIATED' } }]);
  });

  test('a subscription made before the connection is sent once it is open', async () => {
    const id = await bridge.create('asha', 'ravi');
    service.subscribe(id);
    expect([...service.subscriptions]).toEqual([id]);
    await connect('asha');
    await subscribed(id);
  });

  test('a user who is not a party is told that there is no such escrow', async () => {
    const id = await bridge.create('asha', 'ravi');
    await connect('mallory');
    service.subscribe(id);
    await until('an error', () => of('error').length === 1);
    expect(of('error')).toMatchObject([{ code: 'ESCROW_NOT_FOUND', escrow_id: id }]);
  });

  test('* brings the events of an escrow that did not exist before', async () => {
    await connect('asha');
    service.subscribe('*');
    await subscribed('*');
    const id = await bridge.create('asha', 'ravi');
    await bridge.publish(id);
    await until('both events', () => versions(id).length === 2);
    expect(versions(id)).toEqual([1, 2]);
  });

  test('after unsubscribe no more events are delivered', async () => {
    const [left, kept] = [await bridge.create('asha', 'ravi'), await bridge.create('asha', 'ravi')];
    await connect('asha');
    service.subscribe(left);
    service.subscribe(kept);
    await subscribed(kept);
    service.unsubscribe(left);
    expect([...service.subscriptions]).toEqual([kept]);
    await bridge.publish(left);
    await bridge.publish(kept);
    await until('the kept one', () => versions(kept).length === 1);
    expect(versions(left)).toEqual([]);
  });
});

describe.skipIf(isLive)('against a bridge that can be broken', () => {
  let fake: FakeBridge;

  beforeEach(() => {
    if (!(bridge instanceof FakeBridge)) throw new Error('needs the stand-in');
    fake = bridge;
    fake.add('e1', ['asha']);
    fake.add('e2', ['asha']);
  });

  async function watch(...ids: string[]): Promise<void> {
    await connect('asha');
    for (const id of ids) {
      service.subscribe(id);
      await subscribed(id);
    }
  }

  async function cutAndReturn(meanwhile: () => void): Promise<void> {
    const before = of('connected').length;
    fake.cut();
    meanwhile();
    await until('a new connection', () => of('connected').length > before);
  }

  test('the token travels as a subprotocol and never in the address', async () => {
    await connect('asha');
    expect(fake.handshakes[0]?.protocols).toMatch(/^bearer, ?e30\./);
    expect(fake.handshakes[0]?.url).toBe('/api/v1/ws');
  });

  test('after a lost connection it reconnects and misses nothing', async () => {
    await watch('e1');
    fake.advance('e1');
    await until('an update', () => versions('e1').length === 1);
    await cutAndReturn(() => {
      fake.advance('e1', 'note', undefined, true);
      fake.advance('e1', 'payment_captured', 'HELD', true);
    });
    await until('what was missed', () => versions('e1').length === 3);
    fake.advance('e1');
    await until('what is new', () => versions('e1').length === 4);
    expect(versions('e1')).toEqual([2, 3, 4, 5]);
    expect(fake.heard.filter((f) => f.type === 'subscribe')).toMatchObject([{}, { after: 2 }]);
    expect(of('disconnected')).toMatchObject([{ code: 1006, will_reconnect: true }]);
    expect(of('reconnecting')).toMatchObject([{ attempt: 1, max_attempts: 5 }]);
  });

  test('the frames of one version pass once each, even when a loss comes between them', async () => {
    await watch('e1');
    const change = { type: 'status_change', escrow_id: 'e1', version: 2 };
    fake.tell({ ...change, old_status: 'INITIATED', new_status: 'HELD' });
    await until('the change', () => of('status_change').length === 1);
    await cutAndReturn(() => fake.advance('e1', 'payment_captured', 'HELD', true));
    await until('the update', () => versions('e1').length === 1);
    expect(of('status_change')).toHaveLength(1);
    expect(of('payment_status')).toHaveLength(1);
    expect(versions('e1')).toEqual([2]);
  });

  test('an event that is sent twice is delivered once', async () => {
    await watch('e1');
    fake.advance('e1');
    fake.tell({ type: 'escrow_update', escrow_id: 'e1', version: 2, data: {} });
    fake.advance('e1');
    await until('version 3', () => versions('e1').includes(3));
    expect(versions('e1')).toEqual([2, 3]);
  });

  test('it gives up after the set number of attempts, and says so', async () => {
    await watch('e1');
    fake.refuseWith = 1011;
    fake.cut();
    await until('the end', () => service.status === 'disconnected');
    expect(of('reconnecting').map((m) => 'attempt' in m && m.attempt)).toEqual([1, 2, 3, 4, 5]);
    expect(of('disconnected').at(-1)).toMatchObject({ will_reconnect: false });
    fake.refuseWith = null;
    service.reconnect();
    await until('connected again', () => service.status === 'connected');
  });

  test('the attempts are counted anew after a success', async () => {
    service.configure({ maxAttempts: 1 });
    await watch('e1');
    await cutAndReturn(() => {});
    await cutAndReturn(() => {});
    expect(of('reconnecting').map((m) => 'attempt' in m && m.attempt)).toEqual([1, 1]);
  });

  test('attempts are the set interval apart, a quarter more or less', async () => {
    await watch('e1');
    service.configure({ intervalMs: 100 });
    await cutAndReturn(() => {});
    const [planned] = of('reconnecting');
    const delay = planned && 'delay_ms' in planned ? planned.delay_ms : 0;
    expect(delay).toBeGreaterThanOrEqual(75);
    expect(delay).toBeLessThanOrEqual(125);
  });

  test.each([4400, 4401, 4402, 4403])('a close with %i is final', async (code) => {
    await watch('e1');
    fake.cut(code);
    await until('the end', () => service.status === 'disconnected');
    expect(of('disconnected')).toMatchObject([{ code, will_reconnect: false }]);
    expect(of('reconnecting')).toEqual([]);
  });

  test.each([4408, 4409, 4429, 1012, 1009])('a close with %i is not final', async (code) => {
    await watch('e1');
    fake.cut(code);
    await until('back', () => of('connected').length === 2);
  });

  test('a server that shuts down names the slot in which to reconnect', async () => {
    await watch('e1');
    service.configure({ intervalMs: 60_000 });
    fake.tell({ type: 'reconnect', after_ms: 40 });
    await until('the advice', () => of('reconnect').length === 1);
    fake.cut(1012);
    await until('back', () => of('connected').length === 2);
    const [planned] = of('reconnecting');
    expect(planned && 'delay_ms' in planned && planned.delay_ms).toBeLessThanOrEqual(40);
  });

  test('it closes the connection when its slot comes and the server has not', async () => {
    await watch('e1');
    fake.tell({ type: 'reconnect', after_ms: 10 });
    await until('back', () => of('connected').length === 2);
    await until('one connection', () => fake.connections === 1);
  });

  test('a quiet connection is kept alive with pings', async () => {
    fake.pingInterval_s = 0.01;
    await connect('asha');
    await until('two pongs', () => of('pong').length >= 2);
    expect(of('connected')).toHaveLength(1);
  });

  test('when the server stops answering, it opens a new connection', async () => {
    service.configure({ silenceMs: 30 });
    fake.pingInterval_s = 0.01;
    fake.isSilent = true;
    await connect('asha');
    await until('the loss', () => of('disconnected').length === 1);
    fake.isSilent = false;
    await until('back', () => of('connected').length === 2);
  });

  test('components on one escrow share one subscription', async () => {
    await watch('e1');
    const undo = service.subscribe('e1');
    service.subscribe('e1');
    undo();
    undo();
    service.unsubscribe('e1');
    expect([...service.subscriptions]).toEqual(['e1']);
    service.unsubscribe('e1');
    expect([...service.subscriptions]).toEqual([]);
    await until('one unsubscribe', () => fake.heard.some((f) => f.type === 'unsubscribe'));
    expect(fake.heard.filter((f) => f.type === 'subscribe')).toHaveLength(1);
  });

  test('an unsubscribe and a subscribe right after it send no frame and lose no event', async () => {
    await watch('e1');
    service.unsubscribe('e1');
    service.subscribe('e1');
    fake.advance('e1');
    await until('the update', () => versions('e1').length === 1);
    expect(fake.heard.map((f) => f.type)).toEqual(['subscribe']);
  });

  test('an event between an unsubscribe and a subscribe is covered by a new snapshot', async () => {
    await watch('e1', 'e2');
    service.unsubscribe('e1');
    fake.advance('e1');
    fake.advance('e2');
    await until('the other update', () => versions('e2').length === 1);
    service.subscribe('e1');
    await until('a snapshot', () => of('subscribed').length === 3);
    expect(of('subscribed').at(-1)).toMatchObject({ escrow_id: 'e1', version: 2 });
    fake.advance('e1');
    await until('the update', () => versions('e1').length === 1);
    expect(versions('e1')).toEqual([3]);
  });

  test('a subscription that failed for now is tried again', async () => {
    fake.nextError = { code: 'UNAVAILABLE', message: 'Core is away.', retry: true };
    await watch('e1');
    expect(of('error')).toMatchObject([{ code: 'UNAVAILABLE', retry: true }]);
  });

  test('an expiring token is refreshed on the open connection', async () => {
    const fresh = fake.token('asha', 7200);
    service.configure({ refreshToken: () => Promise.resolve(fresh) });
    await watch('e1');
    fake.tell({ type: 'error', code: 'TOKEN_EXPIRING', message: '30 s left', retry: false });
    await until('authenticated', () => of('authenticated').length === 1);
    expect(fake.heard.at(-1)).toMatchObject({ type: 'auth', token: fresh });
    expect(service.token).toBe(fresh);
    expect(of('connected')).toHaveLength(1);
  });

  test('a refresh that fails is reported, and the connection stays open', async () => {
    service.configure({ refreshToken: () => Promise.reject(new Error('the login server is away')) });
    await watch('e1');
    fake.tell({ type: 'error', code: 'TOKEN_EXPIRING', message: '30 s left', retry: false });
    await until('the failure', () => of('error').length >= 2);
    expect(of('error')[1]).toMatchObject({ code: 'TOKEN_REFRESH_FAILED' });
    expect(service.status).toBe('connected');
  });

  test('a token that expired during a loss is refreshed before it is used', async () => {
    service.configure({ refreshToken: () => Promise.resolve(fake.token('asha', 7200)) });
    service.connect(fake.token('asha', 2));
    await until('connected', () => service.status === 'connected');
    const [first] = fake.handshakes;
    await cutAndReturn(() => {});
    expect(fake.handshakes.at(-1)?.protocols).not.toBe(first?.protocols);
  });

  test('many subscriptions stay under the limit of frames', async () => {
    await connect('asha');
    const ids = Array.from({ length: 45 }, (_, n) => `many-${n}`);
    ids.forEach((id) => {
      fake.add(id, ['asha']);
      service.subscribe(id);
    });
    const asked = () => fake.heard.filter((f) => f.type === 'subscribe').length;
    await until('the burst', () => asked() >= 30);
    expect(asked()).toBeLessThan(40);
    await until('all', () => asked() === 45);
  });

  test('another user gets nothing of what the previous user had seen', async () => {
    fake.add('shared', ['asha', 'ravi']);
    await watch('shared');
    service.connect(fake.token('ravi'));
    await until('ravi', () => of('connected').length === 2);
    await until('his own snapshot', () => of('subscribed').length === 2);
    expect(fake.heard.at(-1)).not.toHaveProperty('after');
  });

  test('disconnect ends it for good', async () => {
    await watch('e1');
    service.disconnect();
    expect(service.status).toBe('disconnected');
    expect(service.ws).toBeNull();
    await until('gone', () => fake.connections === 0);
    expect(of('disconnected')).toMatchObject([{ code: 1000, will_reconnect: false }]);
    expect(of('reconnecting')).toEqual([]);
  });

  test('connecting twice with one token makes one connection', async () => {
    const token = fake.token('asha');
    service.connect(token);
    service.connect(token);
    await until('connected', () => service.status === 'connected');
    expect(fake.handshakes).toHaveLength(1);
  });

  test('what is not a frame is ignored', async () => {
    await watch('e1');
    for (const noise of [[], 1, { no: 'type' }]) fake.tell(noise as object);
    service.ping();
    await until('pong', () => of('pong').length === 1);
  });
});

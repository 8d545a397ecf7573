// @vitest-environment node
/** `*` goes on after a position: whoever follows many escrows misses nothing of any. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocketService, type EscrowUpdateFrame, type Message, type SubscribedFrame } from '../src/services/websocket';
import { Bridge, FakeBridge, isLive, open } from './bridge';
import { until } from './wait';

/** Long enough for what happens during a loss, also at a real bridge. */
const GAP_MS = 1_500;
let bridge: Bridge;
let service: WebSocketService;
let heard: Message[];

beforeEach(async () => {
  heard = [];
  bridge = await open();
  service = new WebSocketService();
  service.configure({ address: bridge.address, intervalMs: isLive ? GAP_MS : 20 });
  service.on('*', (message) => heard.push(message));
});

afterEach(async () => {
  service.disconnect();
  await bridge.close();
});

function of(type: string): Message[] {
  return heard.filter((message) => message.type === type);
}

function updates(): EscrowUpdateFrame[] {
  return heard.filter((message) => message.type === 'escrow_update');
}

function versions(escrowId: string): number[] {
  return updates().filter((update) => update.escrow_id === escrowId).map((update) => update.version);
}

/** The answers to the subscription to `*`. */
function answers(): SubscribedFrame[] {
  const all = heard.filter((message) => message.type === 'subscribed');
  return all.filter((message) => message.escrow_id === '*');
}

async function follow(token: string): Promise<void> {
  service.subscribe('*');
  service.connect(token);
  await until('the answer', () => answers().length === 1);
}

/** Each run of these tests against one bridge has users of its own. */
function unique(name: string): string {
  return `${name}-${Math.random().toString(36).slice(2, 10)}`;
}

describe('against any bridge', () => {
  test.each([['a party', ['user']], ['an admin', ['admin']]])(
    'after a loss %s is told of all that happened: of escrows that ended, and of new ones',
    async (_who, roles) => {
      const buyer = unique('asha');
      const name = roles[0] === 'admin' ? unique('admin') : buyer;
      const [ended, changed] = [await bridge.create(buyer, 'ravi'), await bridge.create(buyer, 'ravi')];
      await follow(await bridge.user(name, roles));
      await bridge.publish(changed);
      await until('a position', () => versions(changed).length === 1);
      service.configure({ intervalMs: GAP_MS });
      service.ws?.close();
      await until('the loss', () => service.status === 'reconnecting');
      await bridge.cancel(ended, buyer);
      await bridge.publish(changed);
      const made = await bridge.create(buyer, 'ravi');
      await until('live', () => service.isLive);
      expect(answers().at(-1)).toMatchObject({ is_resumed: true });
      expect(versions(ended)).toEqual([2]);
      expect(updates().find((update) => update.escrow_id === ended)?.data.status).toBe('CANCELLED');
      expect(versions(changed)).toEqual([2, 3]);
      expect(versions(made)).toEqual([1]);
      await bridge.publish(made);
      await until('what is new', () => versions(made).length === 2);
      expect(versions(made)).toEqual([1, 2]);
    },
  );

  test('without a position there are snapshots of open escrows, and none of ended ones', async () => {
    const buyer = unique('asha');
    const [ended, left] = [await bridge.create(buyer, 'ravi'), await bridge.create(buyer, 'ravi')];
    await bridge.cancel(ended, buyer);
    await follow(await bridge.user(buyer));
    expect(of('subscribed')).toMatchObject([{ escrow_id: left }, { escrow_id: '*', is_resumed: false }]);
  });

  test('an escrow that is watched beside * misses nothing, and comes once', async () => {
    const buyer = unique('asha');
    const id = await bridge.create(buyer, 'ravi');
    service.subscribe(id);
    await follow(await bridge.user(buyer));
    await bridge.publish(id);
    await until('an event', () => versions(id).length === 1);
    service.configure({ intervalMs: GAP_MS });
    service.ws?.close();
    await until('the loss', () => service.status === 'reconnecting');
    await bridge.publish(id);
    await bridge.cancel(id, buyer);
    await until('live', () => service.isLive);
    expect(versions(id)).toEqual([2, 3, 4]);
  });
});

describe.skipIf(isLive)('against a bridge that can be broken', () => {
  let fake: FakeBridge;

  beforeEach(() => {
    if (!(bridge instanceof FakeBridge)) throw new Error('needs the stand-in');
    fake = bridge;
    for (const id of ['e1', 'e2']) fake.add(id, ['asha']);
  });

  async function watch(...ids: string[]): Promise<void> {
    ids.forEach((id) => service.subscribe(id));
    if (service.status === 'disconnected') service.connect(fake.token('asha'));
    await until('live', () => service.isLive && ids.every((id) => service.isCompared(id)));
  }

  async function cutAndReturn(meanwhile: () => void): Promise<void> {
    const before = answers().length;
    fake.cut();
    meanwhile();
    await until('the next answer', () => answers().length > before);
  }

  function afters(): unknown[] {
    return fake.heard.filter((frame) => frame.type === 'subscribe').map((frame) => frame.after);
  }

  test('after a loss it asks for what is after the last position, and gets only that', async () => {
    await follow(fake.token('asha'));
    fake.advance('e1');
    await until('an event', () => updates().length === 1);
    await cutAndReturn(() => fake.advance('e2', 'payment_captured', 'HELD', true));
    expect(afters()).toEqual([undefined, 3]);
    expect(updates().map((update) => [update.escrow_id, update.version, update.position])).toEqual([
      ['e1', 2, 3],
      ['e2', 2, 4],
    ]);
    expect(of('subscribed').slice(2)).toMatchObject([{ escrow_id: '*' }, { escrow_id: '*', position: 4 }]);
  });

  test('an event of which not all frames came is asked for again', async () => {
    await follow(fake.token('asha'));
    const head = { type: 'status_change', escrow_id: 'e1', version: 2, position: 3 };
    fake.tell({ ...head, old_status: 'INITIATED', new_status: 'HELD' });
    await until('the first frame', () => of('status_change').length === 1);
    await cutAndReturn(() => fake.advance('e1', 'payment_captured', 'HELD', true));
    expect(afters()).toEqual([undefined, 2]);
    expect(versions('e1')).toEqual([2]);
    expect(of('status_change')).toHaveLength(1);
  });

  test('snapshots that did not all come are asked for again', async () => {
    fake.isWithholding = true;
    service.subscribe('*');
    service.connect(fake.token('asha'));
    await until('the question', () => fake.heard.length === 1);
    const data = { status: 'INITIATED' };
    fake.tell({ type: 'subscribed', escrow_id: 'e1', version: 1, position: 2, data });
    await until('a snapshot', () => of('subscribed').length === 1);
    fake.isWithholding = false;
    fake.cut();
    await until('the answer', () => answers().length === 1);
    expect(afters()).toEqual([undefined, undefined]);
    const told = heard.filter((message) => message.type === 'subscribed');
    expect(told.map((answer) => answer.escrow_id)).toEqual(['e1', 'e1', 'e2', '*']);
  });

  test('a loss while it catches up goes on where it stopped', async () => {
    await follow(fake.token('asha'));
    fake.isWithholding = true;
    fake.cut();
    fake.advance('e1', 'note', undefined, true);
    fake.advance('e1', 'note', undefined, true);
    await until('the question', () => afters().length === 2);
    fake.tell({ type: 'escrow_update', escrow_id: 'e1', version: 2, position: 3, data: {} });
    await until('the first', () => versions('e1').length === 1);
    fake.isWithholding = false;
    await cutAndReturn(() => undefined);
    expect(afters()).toEqual([undefined, 2, 3]);
    expect(versions('e1')).toEqual([2, 3]);
  });

  test('when core knows no such position, it begins anew, and says that nothing was resumed', async () => {
    await follow(fake.token('asha'));
    fake.advance('e1');
    await until('an event', () => updates().length === 1);
    await cutAndReturn(() => fake.restore(2));
    expect(afters()).toEqual([undefined, 3, undefined]);
    expect(answers().at(-1)).toMatchObject({ is_resumed: false, position: 2 });
    fake.advance('e1');
    await until('the next', () => updates().length === 2);
    expect(versions('e1')).toEqual([2, 2]);
  });

  test('a fresh token of the same user goes on, and another user begins anew', async () => {
    await follow(fake.token('asha'));
    service.connect(fake.token('asha', 7200));
    await until('the second answer', () => answers().length === 2);
    service.connect(fake.token('ravi'));
    await until('the third answer', () => answers().length === 3);
    expect(afters()).toEqual([undefined, 2, undefined]);
  });

  test('who has left * begins anew', async () => {
    await follow(fake.token('asha'));
    service.unsubscribe('*');
    await until('the farewell', () => fake.heard.some((frame) => frame.type === 'unsubscribe'));
    service.subscribe('*');
    await until('the second answer', () => answers().length === 2);
    expect(afters()).toEqual([undefined, undefined]);
  });

  test('* brings snapshots, the answer after them, and the events of new escrows too', async () => {
    await watch('*');
    expect(of('subscribed')).toMatchObject([
      { escrow_id: 'e1' },
      { escrow_id: 'e2' },
      { escrow_id: '*' },
    ]);
    fake.add('e3', ['asha']);
    fake.advance('e1');
    await until('both', () => versions('e1').length === 1 && versions('e3').length === 1);
    expect(versions('e3')).toEqual([1]);
  });

  test.each([['has just ended', true], ['goes on', false]])(
    '* brings the snapshot of an escrow whose own subscription %s',
    async (_what, ends) => {
      await watch('e1');
      if (ends) service.unsubscribe('e1');
      service.subscribe('*');
      await until('the answer', () => answers().length === 1);
      const told = heard.filter((message) => message.type === 'subscribed');
      expect(told.map((answer) => answer.escrow_id)).toEqual(['e1', 'e1', 'e2', '*']);
    },
  );

  test('events of an escrow that is subscribed to beside * come once, without a gap after a loss', async () => {
    await watch('*', 'e1');
    fake.advance('e1');
    await until('an update', () => versions('e1').length === 1);
    await cutAndReturn(() => {
      fake.advance('e1', 'payment_captured', 'HELD', true);
      fake.advance('e1', 'note', undefined, true);
    });
    fake.advance('e1');
    await until('all', () => versions('e1').includes(5));
    expect(versions('e1')).toEqual([2, 3, 4, 5]);
  });

  test('when * is ahead of an escrow’s own subscription, there is no gap', async () => {
    await watch('*', 'e1');
    fake.tell({ type: 'escrow_update', escrow_id: 'e1', version: 3, data: {} });
    fake.advance('e1');
    fake.advance('e1');
    await until('version 3', () => versions('e1').includes(3));
    expect(versions('e1')).toEqual([2, 3]);
  });
});

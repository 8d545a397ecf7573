// @vitest-environment node
/** How long a session lives, whatever the login server, the network and the clocks do. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocketService, type EscrowUpdateFrame, type Message } from '../src/services/websocket';
import { FakeBridge } from './bridge';
import { deferred, until } from './wait';

const RETRY_MS = 20;
const LIMIT_MS = 60;

let bridge: FakeBridge;
let service: WebSocketService;
let heard: Message[];
/** How often a fresh token was asked for. */
let asked: number;

beforeEach(async () => {
  heard = [];
  asked = 0;
  bridge = await FakeBridge.start();
  bridge.add('e1', ['asha']);
  service = new WebSocketService();
  service.configure({ address: bridge.address, intervalMs: RETRY_MS, refreshMs: LIMIT_MS });
  service.on('*', (message) => heard.push(message));
});

afterEach(async () => {
  service.disconnect();
  vi.useRealTimers();
  await bridge.close();
});

/** Answers in turn; the last one again and again. */
function refreshWith(...answers: (() => Promise<string> | string)[]): void {
  service.configure({
    refreshToken: async () => {
      const answer = answers[Math.min(asked, answers.length - 1)];
      asked += 1;
      return await (answer as () => Promise<string> | string)();
    },
  });
}

const good = () => bridge.token('asha', 7200);
const away = () => Promise.reject(Object.assign(new Error('The login server is away.'), { status: 500 }));
const denied = () => Promise.reject(Object.assign(new Error('Log in again.'), { status: 401 }));
const never = () => new Promise<string>(() => undefined);

function of(type: string): Message[] {
  return heard.filter((m) => m.type === type);
}

function versions(): number[] {
  return heard.filter((m): m is EscrowUpdateFrame => m.type === 'escrow_update').map((m) => m.version);
}

async function connect(ttl_s = 3600): Promise<string> {
  const token = bridge.token('asha', ttl_s);
  service.connect(token);
  service.subscribe('e1');
  await until('the snapshot', () => of('subscribed').length === 1);
  return token;
}

function expiring(): void {
  bridge.tell({ type: 'error', code: 'TOKEN_EXPIRING', message: 'Soon.', retry: true });
}

async function renewed(from: string): Promise<void> {
  await until('a new token', () => service.token !== from && service.status === 'connected');
}

async function ended(): Promise<void> {
  await until('the end', () => service.status === 'disconnected');
  expect(of('disconnected').at(-1)).toMatchObject({ code: 4401, will_reconnect: false });
}

describe('a token that is about to expire', () => {
  test.each([
    ['fails once', away],
    ['throws at once', () => { throw new Error('no login server'); }],
    ['never answers', never],
    ['brings nothing', () => undefined as unknown as string],
    ['brings a token of another user', () => bridge.token('ravi', 7200)],
    ['brings an older token', () => bridge.token('asha', 60)],
    ['brings a token that the bridge refuses', () => refusedToken()],
  ])('is renewed although refreshToken %s', async (_what, first) => {
    refreshWith(first, good);
    const token = await connect();
    expiring();
    await renewed(token);
    expect(asked).toBe(2);
    expect(of('connected')).toHaveLength(1);
    expect(bridge.handshakes).toHaveLength(1);
  });

  test('the same token is called old', async () => {
    const token = await connect();
    refreshWith(() => token, good);
    expiring();
    await renewed(token);
    expect(of('error').at(1)).toMatchObject({ code: 'TOKEN_REFRESH_FAILED', retry: true });
  });

  test('a token of another user is never sent', async () => {
    const foreign = bridge.token('ravi', 7200);
    refreshWith(() => foreign, good);
    const token = await connect();
    expiring();
    await renewed(token);
    expect(bridge.heard.filter((f) => f.token === foreign)).toEqual([]);
  });

  test('a fresh token that the bridge refuses does not replace the one in use', async () => {
    const refused = refusedToken();
    refreshWith(() => refused);
    const token = await connect();
    expiring();
    await until('a second try', () => asked >= 2);
    expect(service.token).toBe(token);
    bridge.cut();
    await until('back', () => of('connected').length === 2);
    expect(bridge.handshakes.at(-1)?.protocols).toContain(token);
  });

  test('while its keys are away, the bridge is offered the same token again', async () => {
    refreshWith(good);
    const token = await connect();
    bridge.isKeyless = true;
    expiring();
    await until('two offers', () => bridge.heard.filter((f) => f.type === 'auth').length >= 2);
    bridge.isKeyless = false;
    await renewed(token);
    expect(asked).toBe(1);
  });

  test('a bridge that does not answer is offered the same token again', async () => {
    refreshWith(good);
    const token = await connect();
    bridge.isSilent = true;
    expiring();
    await until('an offer', () => bridge.heard.some((f) => f.type === 'auth'));
    bridge.isSilent = false;
    await renewed(token);
    expect(asked).toBe(1);
  });

  test('when the connection is lost before the answer, the fresh token is offered on the next', async () => {
    refreshWith(good);
    const token = await connect();
    bridge.isSilent = true;
    expiring();
    await until('an offer', () => bridge.heard.some((f) => f.type === 'auth'));
    bridge.cut();
    bridge.isSilent = false;
    await renewed(token);
    expect(asked).toBe(1);
  });

  test('an answer after the limit still counts', async () => {
    const { promise, resolve: answer } = deferred();
    refreshWith(() => promise, never);
    const token = await connect();
    expiring();
    await until('the second try', () => asked === 2);
    const late = good();
    answer(late);
    await renewed(token);
    expect(service.token).toBe(late);
  });

  test('nobody is asked again after the login server has said no, and the session lasts to its end', async () => {
    refreshWith(away, denied);
    bridge.notice_s = 0.9;
    await connect(2);
    await ended();
    expect(asked).toBe(2);
    expect(of('error').at(-1)).toMatchObject({ code: 'TOKEN_REFRESH_FAILED', retry: false });
    expect(of('reconnecting')).toEqual([]);
  });
});

describe('a close with 4401', () => {
  test('in the middle renews the token once, and nothing is missed', async () => {
    refreshWith(good);
    const token = await connect();
    bridge.refused.add(token);
    bridge.cut(4401);
    bridge.advance('e1', 'note', undefined, true);
    await renewed(token);
    await until('what was missed', () => versions().includes(2));
    expect(asked).toBe(1);
    expect(of('disconnected')).toMatchObject([{ code: 4401, will_reconnect: true }]);
    bridge.advance('e1');
    await until('what is new', () => versions().includes(3));
    expect(versions()).toEqual([2, 3]);
  });

  test('of a token that was never good renews it too', async () => {
    refreshWith(good);
    const token = refusedToken();
    service.connect(token);
    await renewed(token);
    expect(bridge.handshakes).toHaveLength(2);
  });

  test('takes a fresh token that lasts shorter than the refused one would have', async () => {
    refreshWith(() => bridge.token('asha', 600));
    const token = await connect(3600);
    bridge.refused.add(token);
    bridge.cut(4401);
    await renewed(token);
  });

  test('of the fresh token too is the end', async () => {
    refreshWith(refusedToken);
    await connect();
    bridge.cut(4401);
    await ended();
    expect(asked).toBe(1);
    expect(bridge.handshakes).toHaveLength(2);
  });

  test('right after the fresh one was taken is the end: no circle', async () => {
    refreshWith(good);
    const token = await connect();
    bridge.cut(4401);
    await renewed(token);
    bridge.cut(4401);
    await ended();
    expect(asked).toBe(1);
  });

  test('is the end when the login server says no', async () => {
    refreshWith(denied);
    await connect();
    bridge.cut(4401);
    await ended();
    expect(asked).toBe(1);
  });

  test.each([['fails', away], ['never answers', never]])(
    'is the end when every try %s, after as many as a loss has',
    async (_what, answer) => {
      refreshWith(answer);
      service.configure({ maxAttempts: 3 });
      await connect();
      bridge.cut(4401);
      await ended();
      expect(asked).toBe(4);
      expect(of('reconnecting')).toHaveLength(3);
    },
  );

  test('waits for the try that is under way, and calls nobody twice', async () => {
    const { promise, resolve: answer } = deferred();
    refreshWith(() => promise);
    service.configure({ refreshMs: 5_000 });
    const token = await connect();
    expiring();
    await until('the call', () => asked === 1);
    bridge.cut(4401);
    await until('the loss', () => service.status === 'reconnecting');
    answer(good());
    await renewed(token);
    expect(asked).toBe(1);
  });
});

describe('nothing holds the client', () => {
  test('reconnect asks anew while a refresh hangs', async () => {
    refreshWith(never, good);
    service.configure({ refreshMs: 60_000 });
    const token = await connect();
    bridge.cut(4401);
    await until('the call', () => asked === 1);
    service.reconnect();
    await renewed(token);
  });

  test('reconnect tries again after the end', async () => {
    refreshWith(denied, good);
    const token = await connect();
    bridge.refused.add(token);
    bridge.cut(4401);
    await ended();
    service.reconnect();
    await renewed(token);
  });

  test('reconnect without a token says why nothing happens', () => {
    service.reconnect();
    expect(heard).toMatchObject([{ type: 'error', code: 'NO_TOKEN' }]);
  });

  test('a disconnect ends the try, and its late answer opens nothing', async () => {
    const { promise, resolve: answer } = deferred();
    refreshWith(() => promise);
    await connect();
    bridge.cut(4401);
    await until('the call', () => asked === 1);
    service.disconnect();
    answer(good());
    await until('the answer', () => service.token === null);
    await new Promise((resolve) => setTimeout(resolve, 2 * LIMIT_MS));
    expect(bridge.handshakes).toHaveLength(1);
    expect(service.status).toBe('disconnected');
  });

  test('the late answer for one user is not used for the next', async () => {
    const { promise, resolve: answer } = deferred();
    refreshWith(() => promise, never);
    await connect();
    expiring();
    await until('the call', () => asked === 1);
    const other = bridge.token('ravi');
    service.connect(other);
    await until('the other', () => of('connected').length === 2);
    answer(good());
    await new Promise((resolve) => setTimeout(resolve, 2 * LIMIT_MS));
    expect(service.token).toBe(other);
    expect(bridge.heard.some((f) => f.type === 'auth')).toBe(false);
  });
});

describe.each([
  ['two hours ahead of', -7200],
  ['two hours behind', 7200],
])('on a device whose clock is %s the server’s', (_where, ahead_s) => {
  beforeEach(() => {
    bridge.ahead_s = ahead_s;
  });

  test('a good token is not renewed after a loss', async () => {
    refreshWith(good);
    const token = await connect(3600);
    bridge.cut();
    await until('back', () => of('connected').length === 2);
    expect(asked).toBe(0);
    expect(service.token).toBe(token);
  });

  test('a token whose time is over is renewed before it is used', async () => {
    refreshWith(good);
    bridge.notice_s = 0;
    const token = await connect(4);
    bridge.cut();
    await renewed(token);
    expect(asked).toBe(1);
    expect(bridge.handshakes).toHaveLength(2);
  });
});

test('a clock that is set back while the client waits for its slot delays nothing', async () => {
  await connect();
  bridge.tell({ type: 'reconnect', after_ms: 60 });
  await until('the advice', () => of('reconnect').length === 1);
  bridge.cut(1012);
  await until('the loss', () => of('reconnecting').length === 1);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 7_200_000 });
  bridge.ahead_s = 7200;
  await until('back', () => of('connected').length === 2);
});

test('a slot that no server means is not waited for', async () => {
  await connect();
  bridge.tell({ type: 'reconnect', after_ms: 1e12 });
  await until('the advice', () => of('reconnect').length === 1);
  bridge.cut(1012);
  await until('the plan', () => of('reconnecting').length === 1);
  const [planned] = of('reconnecting');
  expect(planned && 'delay_ms' in planned && planned.delay_ms).toBeLessThanOrEqual(60_000);
});

function refusedToken(): string {
  const token = bridge.token('asha', 7200);
  bridge.refused.add(token);
  return token;
}

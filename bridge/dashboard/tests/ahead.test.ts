// @vitest-environment node
/** Calls that are begun before the page's code is there, against a real server that counts them. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { callAhead, isAhead, shownAhead } from '../src/api/ahead';
import { request } from '../src/api/http';
import { until } from './wait';

const PATH = '/api/v1/escrows?page_size=50';
let server: Server;
let asked: string[];
let status: number;

beforeEach(async () => {
  asked = [];
  status = 200;
  server = createServer((call, answer) => {
    asked.push(`${call.method} ${call.headers.authorization}`);
    answer.writeHead(status).end(JSON.stringify({ call: asked.length }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  vi.stubEnv('VITE_API_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterEach(async () => {
  globalThis.holdfastAhead = undefined;
  vi.unstubAllEnvs();
  vi.useRealTimers();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('who asks for the same takes the answer, and the next call is made anew', async () => {
  callAhead(PATH, 'asha');
  expect(isAhead(PATH, 'asha')).toBe(true);
  expect(await request(PATH, { token: 'asha' })).toEqual({ call: 1 });
  expect(isAhead(PATH, 'asha')).toBe(false);
  expect(await request(PATH, { token: 'asha' })).toEqual({ call: 2 });
  expect(asked).toEqual(['GET Bearer asha', 'GET Bearer asha']);
});

test.each([
  ['another user', PATH, { token: 'ravi' }],
  ['nobody', PATH, {}],
  ['another page', `${PATH}&page_token=next`, { token: 'asha' }],
  ['a change', PATH, { token: 'asha', method: 'POST' as const }],
])('it is not for %s', async (_who, path, call) => {
  callAhead(PATH, 'asha');
  await until('the call', () => asked.length === 1);
  expect(await request(path, call)).toEqual({ call: 2 });
});

test('an answer that is there is shown at once, and once', async () => {
  callAhead(PATH, 'asha');
  expect(shownAhead(PATH, 'asha')).toBeUndefined();
  await until('the answer', () => globalThis.holdfastAhead?.get(PATH)?.come !== undefined);
  expect(shownAhead(PATH, 'ravi')).toBeUndefined();
  expect(shownAhead(PATH, 'asha')).toEqual({ call: 1 });
  expect(shownAhead(PATH, 'asha')).toBeUndefined();
});

test('a refusal is shown by nobody, and told to who asks', async () => {
  status = 401;
  callAhead(PATH, 'asha');
  await until('the answer', () => globalThis.holdfastAhead?.get(PATH)?.come !== undefined);
  expect(shownAhead(PATH, 'asha')).toBeUndefined();
  await expect(request(PATH, { token: 'asha' })).rejects.toMatchObject({ status: 401 });
  expect(asked).toHaveLength(1);
});

test('a call that failed on its way is made again', async () => {
  const url = process.env.VITE_API_URL ?? '';
  vi.stubEnv('VITE_API_URL', 'http://127.0.0.1:1');
  callAhead(PATH, 'asha');
  vi.stubEnv('VITE_API_URL', url);
  expect(await request(PATH, { token: 'asha' })).toEqual({ call: 1 });
});

test('an answer that nobody has wanted for long is left alone', async () => {
  callAhead(PATH, 'asha');
  await until('the answer', () => globalThis.holdfastAhead?.get(PATH)?.come !== undefined);
  const soon = performance.now();
  vi.spyOn(performance, 'now').mockReturnValue(soon + 16_000);
  expect(isAhead(PATH, 'asha')).toBe(false);
  expect(await request(PATH, { token: 'asha' })).toEqual({ call: 2 });
});

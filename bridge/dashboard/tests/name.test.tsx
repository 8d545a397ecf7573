// @vitest-environment jsdom
/** Names come in one call for a page, and hold nothing up. */
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { cleanup, render, screen, waitFor } from '@testing-library/react';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { useOwnName } from '../src/api/name';
import { Person } from '../src/components/Person';
import { AuthProvider } from '../src/contexts/AuthContext';
import { called, forgetNames } from '../src/escrow/person';

/** The addresses that were asked. */
let asked: URL[];
let names: Record<string, string> | null;

beforeEach(() => {
  asked = [];
  names = { asha: 'Asha Verma', ravi: 'रवि कुमार' };
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener: vi.fn(), removeEventListener: vi.fn() }));
  vi.stubGlobal('fetch', (address: string) => {
    asked.push(new URL(address, 'http://bridge'));
    if (names === null) return Promise.reject(new TypeError('away'));
    const profiles = Object.entries(names).map(([user_id, display_name]) => ({ user_id, display_name }));
    return Promise.resolve(new Response(JSON.stringify({ profiles })));
  });
});

afterEach(() => {
  cleanup();
  sessionStorage.clear();
  vi.unstubAllGlobals();
  forgetNames();
});

function show(page: ReactNode, claims: object = {}): void {
  const body = btoa(JSON.stringify({ sub: 'meera', exp: 4_000_000_000, ...claims }));
  sessionStorage.setItem('holdfast.token', `x.${body}.x`);
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <MantineProvider>
      <AuthProvider>
        <QueryClientProvider client={client}>{page}</QueryClientProvider>
      </AuthProvider>
    </MantineProvider>,
  );
}

function person(id: string): HTMLElement | null {
  return document.querySelector(`[data-person='${id}']`);
}

test('all people of a page are asked for in one call, and each once', async () => {
  const ids = ['asha', 'ravi', 'asha', 'nobody'];
  show(ids.map((id, at) => <Person key={at} id={id} />));
  expect(person('asha')?.textContent).toBe('asha');
  await screen.findByText('रवि कुमार');
  expect(person('asha')?.textContent).toBe('Asha Vermaasha');
  expect(person('nobody')?.textContent).toBe('nobody');
  expect(asked.map((one) => one.searchParams.getAll('user_ids'))).toEqual([['asha', 'ravi', 'nobody']]);
  expect(person('ravi')?.querySelector('[data-initials]')?.getAttribute('data-initials')).toBe('र');
  expect(called('asha')).toBe('Asha Verma');
});

test('more people than one call takes are asked for in several', async () => {
  show(Array.from({ length: 150 }, (_, at) => <Person key={at} id={`user-${at}-${'x'.repeat(60)}`} />));
  await waitFor(() => expect(asked.length).toBeGreaterThan(1));
  const sizes = asked.map((one) => one.searchParams.getAll('user_ids').length);
  expect(sizes.reduce((sum, one) => sum + one, 0)).toBe(150);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
  expect(Math.max(...asked.map((one) => one.search.length))).toBeLessThan(6_100);
});

test('a name that comes after the user has left is not heard', async () => {
  let answer: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const asking = fetch;
  const late = vi.fn((address: string) => answered.then(() => asking(address)));
  vi.stubGlobal('fetch', late);
  show(<Person id="asha" />);
  await waitFor(() => expect(late).toHaveBeenCalled());
  cleanup();
  answer();
  await waitFor(() => expect(asked).toHaveLength(1));
  // What is asked for from now on is answered after it.
  show(<Person id="ravi" />);
  await screen.findByText('रवि कुमार');
  expect(called('asha')).toBe('asha');
});

test('where names cannot be had, ids stand there', async () => {
  names = null;
  show(<Person id="asha" isYou />);
  await waitFor(() => expect(asked).toHaveLength(1));
  expect(person('asha')?.textContent).toBe('asha (you)');
});

test.each([
  ['as others read it', { meera: 'Meera Nair' }, { name: 'M. N.' }, 'Meera Nair'],
  ['else as the token has it', {}, { name: 'M. N.' }, 'M. N.'],
  ['else by the id', {}, {}, 'meera'],
])('a user is called %s', async (_how, told, claims, name) => {
  names = told;
  const Own = () => <p>{useOwnName()}</p>;
  show(<Own />, claims);
  await screen.findByText(name);
});

// @vitest-environment jsdom
import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { WebSocketService } from '../src/services/websocket';

afterEach(() => {
  cleanup();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

test('an address that cannot be used is told on the page, in place of a login that cannot work', async () => {
  // jsdom has none, and Mantine asks it for the colour scheme.
  vi.stubGlobal('matchMedia', () => Object.assign(new EventTarget(), { matches: false }));
  vi.stubEnv('VITE_API_URL', 'ftp://escrow.example.org');
  const { App } = await import('../src/App');
  render(<App />);
  expect(screen.getByRole('alert').textContent).toContain('VITE_API_URL is “ftp://escrow.example.org”');
  expect(screen.queryByRole('heading', { name: 'Holdfast' })).toBeNull();
});

test('connect throws it before anything changes', () => {
  vi.stubEnv('VITE_API_URL', 'https://escrow.example.org/?tenant=1');
  const service = new WebSocketService();
  expect(() => service.connect('e30.e30.x')).toThrow('it must end with the path');
  expect(service.status).toBe('disconnected');
  expect(service.token).toBeNull();
});

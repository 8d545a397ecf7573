import { expect, test } from 'vitest';
import { apiBase, socketAddress } from '../src/services/address';

const PAGE = 'https://pay.example.org';

test.each([
  ['http://localhost:8000', 'http://localhost:8000'],
  ['https://api.example.org', 'https://api.example.org'],
  ['https://example.org/escrow/', 'https://example.org/escrow'],
  ['https://example.org/escrow//', 'https://example.org/escrow'],
  ['  https://example.org\n', 'https://example.org'],
  ['HTTPS://Example.org', 'https://example.org'],
  ['https://example.org/api/v1', 'https://example.org'],
  ['https://example.org/escrow/api/v1/', 'https://example.org/escrow'],
  ['wss://example.org/api/v1/ws', 'https://example.org'],
  ['ws://127.0.0.1:8000', 'http://127.0.0.1:8000'],
  ['api.example.org', 'https://api.example.org'],
  ['api.example.org:8443/escrow', 'https://api.example.org:8443/escrow'],
  ['localhost:8000', 'http://localhost:8000'],
  ['127.0.0.1:8000/', 'http://127.0.0.1:8000'],
  ['[::1]:8000', 'http://[::1]:8000'],
  ['//api.example.org', 'https://api.example.org'],
  ['/escrow', 'https://pay.example.org/escrow'],
  ['/', 'https://pay.example.org'],
])('%s is a bridge for calls and for the socket', (set, base) => {
  expect(apiBase(set, PAGE)).toBe(base);
  expect(socketAddress(set, PAGE)).toBe(`${base.replace('http', 'ws')}/api/v1/ws`);
});

test('without a scheme it has that of the page', () => {
  expect(apiBase('bridge:8000', 'http://intranet')).toBe('http://bridge:8000');
  expect(socketAddress('bridge:8000', 'http://intranet')).toBe('ws://bridge:8000/api/v1/ws');
});

test.each(['', '  '])('without a base (%j) it is the origin of the page', (set) => {
  expect(apiBase(set, PAGE)).toBe('');
  expect(socketAddress(set, PAGE)).toBe('wss://pay.example.org/api/v1/ws');
});

test.each([
  ['ftp://example.org', 'it must begin with https://'],
  ['http://', 'it is not an address'],
  ['https://exa mple.org', 'it is not an address'],
  ['example.org:port', 'it is not an address'],
  ['https://asha:secret@example.org', 'a name or a password'],
  ['https://example.org/?tenant=1', 'it must end with the path'],
  ['https://example.org/#/', 'it must end with the path'],
  ['http://api.example.org', 'a page with https may only call https'],
])('%s is refused, by both, and says why', (set, why) => {
  expect(() => apiBase(set, PAGE)).toThrow(why);
  expect(() => socketAddress(set, PAGE)).toThrow('VITE_API_URL');
});

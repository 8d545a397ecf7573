import { expect, test } from 'vitest';
import { socketAddress } from '../src/services/address';

test.each([
  ['http://localhost:8000', 'ws://localhost:8000/api/v1/ws'],
  ['https://api.example.org', 'wss://api.example.org/api/v1/ws'],
  ['https://example.org/escrow/', 'wss://example.org/escrow/api/v1/ws'],
])('%s becomes %s', (base, address) => {
  expect(socketAddress(base)).toBe(address);
});

test('without a base it is the origin of the page', () => {
  expect(socketAddress('', 'https://pay.example.org')).toBe('wss://pay.example.org/api/v1/ws');
});

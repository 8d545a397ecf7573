import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const BRIDGE = 'http://127.0.0.1:8000';

export default defineConfig({
  plugins: [react()],
  build: {
    // The bridge's content security policy allows files, not data: addresses.
    assetsInlineLimit: 0,
    target: 'es2022',
    chunkSizeWarningLimit: 800,
  },
  server: { proxy: { '/api': { target: BRIDGE, ws: true } } },
  test: {
    include: ['tests/**/*.test.{ts,tsx}'],
    restoreMocks: true,
    sequence: { shuffle: true },
    testTimeout: 10_000,
  },
});

import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { compressed } from './build/compressed.ts';
import { early } from './build/early.ts';
import { firstBuild } from './build/firstBuild.ts';
import { preloaded } from './build/preloaded.ts';
import { usedStyles } from './build/usedStyles.ts';

const BRIDGE = 'http://127.0.0.1:8000';

export default defineConfig(async ({ command }) => {
  const { classes, list } =
    command === 'build' ? await firstBuild(import.meta.dirname) : { classes: new Set<string>(), list: new Set<string>() };
  return {
    plugins: [react(), usedStyles(classes), preloaded(), early(), compressed()],
    build: {
      // The bridge's content security policy allows files, not data: addresses.
      assetsInlineLimit: 0,
      target: 'es2022',
      chunkSizeWarningLimit: 800,
      rolldownOptions: {
        output: {
          codeSplitting: {
            // On a phone's line each file costs more than the bytes that it saves: one for the first
            // load, one for the list, and few for each page.
            groups: [
              // A language is one file, which no page's file may take in.
              { name: 'hindi', test: /src\/words\/hi\//, priority: 3 },
              { name: 'start', tags: ['$initial' as const], priority: 2 },
              { name: 'list', test: (id: string) => list.has(id), priority: 1 },
              // The operator's room stays in its own file, which only administrators fetch.
              {
                name: 'rooms',
                test: (id: string) => !/src\/(pages|api)\/operator/.test(id),
                entriesAware: true,
                entriesAwareMergeThreshold: 20_000,
              },
            ],
          },
        },
      },
    },
    server: { proxy: { '/api': { target: BRIDGE, ws: true } } },
    test: {
      include: ['tests/**/*.test.{ts,tsx}'],
      setupFiles: ['tests/english.ts'],
      restoreMocks: true,
      sequence: { shuffle: true },
      testTimeout: 10_000,
    },
  };
});

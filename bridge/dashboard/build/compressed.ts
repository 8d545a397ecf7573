/** Writes a .br and a .gz beside each built file that shrinks, for the bridge to send as they are. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Plugin } from 'vite';

/** Fonts and pictures are compressed already. */
const TEXT = new Set(['.css', '.html', '.js', '.svg']);
const LEAST_BYTES = 512;

const FORMS = {
  '.br': (bytes: Buffer) =>
    promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } }),
  '.gz': (bytes: Buffer) => promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION }),
};

export function compressed(): Plugin {
  let folder = '';
  return {
    name: 'holdfast:compressed',
    apply: 'build',
    configResolved: ({ root, build }) => {
      folder = join(root, build.outDir);
    },
    // What is in `public` is only copied, so the folder is read, not the bundle.
    closeBundle: async () => {
      const found = await readdir(folder, { recursive: true, withFileTypes: true });
      const texts = found.filter((one) => one.isFile() && TEXT.has(extname(one.name)));
      await Promise.all(texts.map((one) => writeSiblings(join(one.parentPath, one.name))));
    },
  };
}

async function writeSiblings(path: string): Promise<void> {
  const bytes = await readFile(path);
  if (bytes.length < LEAST_BYTES) return;
  for (const [ending, compress] of Object.entries(FORMS)) {
    await writeFile(path + ending, await compress(bytes));
  }
}

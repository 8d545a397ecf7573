/**
 * Puts src/early.ts in front of all other scripts, as a file of its own that knows how this build has
 * named the others. It is no inline script: the bridge's content security policy allows files only.
 */
import { build, type Plugin, type Rolldown } from 'vite';

type Bundle = Rolldown.OutputBundle;

const FRAME = 'src/pages/Rooms.tsx';
const ESCROW = 'src/pages/EscrowPage.tsx';

export function early(): Plugin {
  let root = '';
  let base = '/';
  let name = '';
  return {
    name: 'holdfast:early',
    apply: 'build',
    configResolved: (config) => {
      ({ root, base } = config);
    },
    async generateBundle(_options, bundle) {
      const named = (page: string) => filesOf(bundle, page).map((one) => base + one);
      const source = await codeWith({ FRAME_FILES: named(FRAME), ESCROW_FILES: named(ESCROW) }, root);
      name = this.getFileName(this.emitFile({ type: 'asset', name: 'early.js', source }));
    },
    transformIndexHtml: {
      order: 'post',
      handler: () => [{ tag: 'script', attrs: { async: true, src: base + name }, injectTo: 'head-prepend' }],
    },
  };
}

/** The files that a page's code needs, without those that index.html names already. */
export function filesOf(bundle: Bundle, module: string): string[] {
  const chunks = Object.values(bundle).filter((one) => one.type === 'chunk');
  const first = chunks.filter((one) => one.isEntry).flatMap((one) => reached(bundle, one.fileName));
  const page = chunks.find((one) => one.facadeModuleId?.endsWith(module));
  if (!page) throw new Error(`no file begins with ${module}`);
  return reached(bundle, page.fileName).filter((one) => !first.includes(one));
}

function reached(bundle: Bundle, fileName: string, found: string[] = []): string[] {
  const chunk = bundle[fileName];
  if (chunk?.type !== 'chunk' || found.includes(fileName)) return found;
  found.push(fileName);
  for (const one of chunk.imports) reached(bundle, one, found);
  return found;
}

async function codeWith(files: Record<string, string[]>, root: string): Promise<string> {
  const built = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    define: Object.fromEntries(Object.entries(files).map(([name, list]) => [name, JSON.stringify(list)])),
    build: {
      write: false,
      target: 'es2022',
      copyPublicDir: false,
      rolldownOptions: { input: 'src/early.ts', output: { format: 'iife' } },
    },
  });
  const outputs = Array.isArray(built) ? built : 'output' in built ? [built] : [];
  const code = outputs.flatMap(({ output }) => output).find((one) => one.type === 'chunk')?.code;
  if (!code) throw new Error('src/early.ts was not built');
  return code;
}

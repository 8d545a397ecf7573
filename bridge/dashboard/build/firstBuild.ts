/**
 * A build without styles and without a plan, which tells the real one what is left after tree shaking:
 * Mantine's classes, and which modules the list needs.
 */
import { build, type Rolldown } from 'vite';

export const CLASS = /\bm_[0-9a-f]{5,8}\b/g;
const LIST = /src\/pages\/Rooms\.tsx$/;

export interface Found {
  /** Mantine's classes that the dashboard uses. */
  classes: ReadonlySet<string>;
  /** The modules that the list is made of, without those of the first load. */
  list: ReadonlySet<string>;
}

export async function firstBuild(root: string): Promise<Found> {
  const built = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    plugins: [{ name: 'holdfast:no-styles', enforce: 'pre', load: { filter: { id: /\.css$/ }, handler: () => '' } }],
    build: { write: false, minify: false, target: 'es2022' },
  });
  const outputs = Array.isArray(built) ? built : 'output' in built ? [built] : [];
  const chunks = outputs.flatMap(({ output }) => output).filter((one) => one.type === 'chunk');
  return {
    classes: new Set(chunks.flatMap(({ code }) => code.match(CLASS) ?? [])),
    list: new Set(listModules(chunks)),
  };
}

function listModules(chunks: Rolldown.OutputChunk[]): string[] {
  const byName = new Map(chunks.map((one) => [one.fileName, one]));
  const first = reach(chunks.filter((one) => one.isEntry), byName);
  const rooms = reach(chunks.filter((one) => LIST.test(one.facadeModuleId ?? '')), byName);
  if (rooms.size === 0) throw new Error('the first build has no file of src/pages/Rooms.tsx');
  return [...rooms].filter((one) => !first.has(one)).flatMap((one) => one.moduleIds);
}

/** Some files with all that they import, but not by `import()`. */
function reach(roots: Rolldown.OutputChunk[], byName: ReadonlyMap<string, Rolldown.OutputChunk>) {
  const reached = new Set(roots);
  for (const chunk of reached) {
    for (const name of chunk.imports) {
      const imported = byName.get(name);
      if (imported) reached.add(imported);
    }
  }
  return reached;
}

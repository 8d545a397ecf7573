/**
 * Has the page fetch the list beside the first load, not after it: whoever comes is logged in, or is
 * about to be.
 */
import type { HtmlTagDescriptor, Plugin } from 'vite';

const FILE = /^assets\/list-[^/]+\.(js|css)$/;

export function preloaded(): Plugin {
  return {
    name: 'holdfast:preloaded',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler: (_html, { bundle }) => {
        const files = Object.keys(bundle ?? {}).filter((name) => FILE.test(name));
        if (bundle && files.length === 0) throw new Error('the list has no file of its own to preload');
        return files.map(tagFor);
      },
    },
  };
}

function tagFor(file: string): HtmlTagDescriptor {
  const attrs = file.endsWith('.js') ? { rel: 'modulepreload' } : { rel: 'preload', as: 'style' };
  return { tag: 'link', attrs: { ...attrs, crossorigin: true, href: `/${file}` }, injectTo: 'head' };
}

/**
 * Leaves of Mantine's stylesheet what the dashboard uses. Mantine names each class by a hash that its
 * components repeat. This happens before Vite names the file by its content: a new component makes a new
 * file.
 */
import postcss from 'postcss';
import type { Plugin } from 'vite';
import { CLASS } from './firstBuild.ts';

const MANTINE = /@mantine\/[a-z]+\/styles\.css$/;

export function usedStyles(classes: ReadonlySet<string>): Plugin {
  return {
    name: 'holdfast:used-styles',
    apply: 'build',
    enforce: 'pre',
    transform: {
      filter: { id: MANTINE },
      handler: (css) => withoutUnused(css, classes),
    },
  };
}

/** Drops the selectors that name only classes which nobody uses, and the rules that have no other. */
export function withoutUnused(css: string, used: ReadonlySet<string>): string {
  const tree = postcss.parse(css);
  tree.walkRules((rule) => {
    const selectors = rule.selectors.filter((selector) => {
      const named = selector.match(CLASS) ?? [];
      return named.length === 0 || named.some((one) => used.has(one));
    });
    if (selectors.length === 0) rule.remove();
    else if (selectors.length < rule.selectors.length) rule.selectors = selectors;
  });
  return tree.toString();
}

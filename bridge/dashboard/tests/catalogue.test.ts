/** The catalogue of words: whatever can be said in one language can be said in the other. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import en from '../src/words/en';
import hi from '../src/words/hi';

type Node = string | { [name: string]: Node };

const [english, hindi] = [flatten(en), flatten(hi)];
const keysOf = (words: Map<string, string>) => [...words.keys()].sort();

test('every key exists in both languages, with the same plurals', () => {
  expect(keysOf(hindi)).toEqual(keysOf(english));
});

test('nothing is empty', () => {
  for (const [key, text] of [...english, ...hindi]) expect(text.trim(), key).not.toBe('');
});

test('both languages have the same placeholders', () => {
  for (const [key, text] of english) {
    expect(placeholdersIn(hindi.get(key) ?? ''), key).toEqual(placeholdersIn(text));
  }
});

test('a sentence in Hindi has no more Latin letters than its placeholders and names of products', () => {
  const names = /\{\{\w+\}\}|<\/?\w+\/?>|Holdfast|Razorpay|PDF|https:\/\/|acc_/g;
  for (const [key, text] of hindi) expect(text.replace(names, ''), key).not.toMatch(/[A-Za-z]/);
});

test('every reason with which server or bridge refuse has words in both languages', () => {
  const page = readFileSync(new URL('../../../docs/reference/errors.md', import.meta.url), 'utf8');
  const reasons = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map((row) => row[1] ?? '');
  expect(reasons).toContain('ESCROW_NOT_FOUND');
  const unsaid = reasons.filter((one) => !english.has(`fault.reason.${one}`));
  expect(unsaid).toEqual([]);
});

function flatten(node: Node, path = ''): Map<string, string> {
  if (typeof node === 'string') return new Map([[path, node]]);
  return new Map(
    Object.entries(node).flatMap(([name, child]) => [...flatten(child, path ? `${path}.${name}` : name)]),
  );
}

function placeholdersIn(text: string): string[] {
  return [...new Set(text.match(/\{\{\w+\}\}|<\/?\w+\/?>/g))].sort();
}

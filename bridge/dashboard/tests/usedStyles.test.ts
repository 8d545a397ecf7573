import { expect, test } from 'vitest';
import { withoutUnused } from '../build/usedStyles';

const USED = new Set(['m_77c9d27d']);

test.each([
  ['of a component that is used', '.m_77c9d27d{top:0}', '.m_77c9d27d{top:0}'],
  ['of one that is not', '.m_6d731127{top:0}', ''],
  ['beside one that is not', '.m_77c9d27d,.m_6d731127{top:0}', '.m_77c9d27d{top:0}'],
  ['within one that is not', ':where(.m_6d731127, .m_77c9d27d) b{top:0}', ':where(.m_6d731127, .m_77c9d27d) b{top:0}'],
  ['of no component', ':root{--mantine-scale:1}a{top:0}', ':root{--mantine-scale:1}a{top:0}'],
  ['in a media query', '@media print{.m_77c9d27d{top:0}.m_6d731127{top:0}}', '@media print{.m_77c9d27d{top:0}}'],
])('a rule %s', (_name, css, left) => {
  expect(withoutUnused(css, USED)).toBe(left);
});

/** The table of a session's token, cell by cell, and what holds for the whole of it. */
import { describe, expect, test } from 'vitest';
import { step, TABLE, type Cause, type Standing } from '../src/services/standing';

const STANDINGS = Object.keys(TABLE) as Standing[];
const CAUSES = [
  'due',
  'fresh',
  'failed',
  'denied',
  'accepted',
  'refused',
  'busy',
  'over',
  'barred',
  'proven',
  'out',
  'again',
] as const satisfies Cause[];
/** A row names where each cause leads, in the order of CAUSES; `-` where it changes nothing. */
const EXPECTED: Record<Standing, string> = {
  calm: 'asking offering - - - - - seeking seeking - - -',
  proving: 'asking offering - - - - - seeking ended calm - -',
  asking: '- offering resting spent - - - seeking seeking - - asking',
  resting: 'asking offering - - - - - seeking seeking - - asking',
  offering: '- offering - - calm resting offering returning returning - - offering',
  spent: '- offering - - - - - ended ended - - calm',
  seeking: '- returning pausing ended - - - - - - - seeking',
  pausing: 'seeking returning - - - - - - - - ended seeking',
  returning: '- returning - - proving ended - - - - - returning',
  ended: '- returning - - - - - - - - - calm',
};
const CELLS = STANDINGS.flatMap((standing) =>
  EXPECTED[standing].split(' ').map((next, n) => ({
    standing,
    cause: CAUSES[n] as Cause,
    next: next === '-' ? standing : (next as Standing),
  })),
);

test.each(CELLS)('$standing, $cause: $next', ({ standing, cause, next }) => {
  expect(step(standing, cause)[0]).toBe(next);
});

function deedsOf(cause: Cause): (string | undefined)[] {
  return STANDINGS.filter((one) => TABLE[one][cause]).map((one) => step(one, cause)[1]);
}

describe('in the whole table', () => {
  test('only the word of the bridge makes a fresh token the one in use', () => {
    for (const { standing, cause } of CELLS) {
      const isAdopted = step(standing, cause)[1] === 'adopt';
      expect(isAdopted, `${standing}, ${cause}`).toBe(cause === 'accepted' && isAdopted);
    }
    expect(deedsOf('accepted')).toEqual(['adopt', 'adopt']);
  });

  test('a token that is good is never given up for a fresh one that is refused', () => {
    expect(step('offering', 'refused')).toEqual(['resting', 'forgo']);
  });

  test('a try that fails is followed by another, whether the token is still good or not', () => {
    expect(deedsOf('failed')).toEqual(['rest', 'rest']);
    for (const rest of ['resting', 'pausing'] as const) expect(step(rest, 'due')[1]).toBe('ask');
  });

  test.each(STANDINGS)('a session that is %s ends only by a refusal', (standing) => {
    const ends = CAUSES.filter((cause) => step(standing, cause)[1] === 'end');
    expect(['denied', 'refused', 'over', 'barred', 'out']).toEqual(expect.arrayContaining(ends));
  });

  test('a refused token that was just renewed is not renewed again', () => {
    const [returning] = step(step('calm', 'barred')[0], 'fresh');
    expect(step(returning, 'refused')[0]).toBe('ended');
    const [proving] = step(returning, 'accepted');
    expect(step(proving, 'barred')[0]).toBe('ended');
  });

  test.each(STANDINGS)('from %s, trying again leads to a connection or to a try', (standing) => {
    const [next, deed] = step(standing, 'again');
    const connects = !['seeking', 'pausing', 'spent', 'ended'].includes(next);
    expect(connects || deed === 'ask').toBe(true);
  });

  test.each(STANDINGS)('from %s a token that is good can be reached', (standing) => {
    const reached = new Set<Standing>([standing]);
    for (const one of reached) for (const cause of CAUSES) reached.add(step(one, cause)[0]);
    expect(reached).toContain('calm');
  });
});

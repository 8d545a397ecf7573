// @vitest-environment node
/** How people are called in sentences, and the letters that stand for them. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { initialsOf, toneOf } from '../src/escrow/initials';
import { called, forgetNames, hear, listOf } from '../src/escrow/person';
import { readClaims } from '../src/services/claims';

afterEach(() => {
  vi.unstubAllGlobals();
  forgetNames();
});

describe('initials', () => {
  test.each([
    ['Asha Verma', 'AV'],
    ['Asha Devi Verma', 'AV'],
    ['Asha', 'A'],
    ['asha', 'a'],
    ['ravi kumar', 'rk'],
    ['e\u0301ve O\u2019Neil', 'e\u0301O'],
    ['आशा वर्मा', 'आव'],
    ['मीरा नायर', 'मी'],
    ['रवि कुमार', 'र'],
    ['क्षितिज श्रीवास्तव', 'क्षि'],
    ['அன்பு', 'அ'],
    ['李雷', '李'],
    ['(Ravi) — Kumar', 'RK'],
    ['🌸 Asha', 'A'],
    ['7 Seas', '7S'],
    ['buyer-17@shop', 'b'],
    ['...', ''],
    ['', ''],
  ])('of %s are %s, as they are typed', (name, initials) => {
    expect(initialsOf(name)).toBe(initials);
  });

  test('are letters also where the browser cannot tell letters apart', () => {
    vi.stubGlobal('Intl', Object.create(Intl, { Segmenter: { value: undefined } }));
    expect(initialsOf('Asha Verma')).toBe('AV');
    expect(initialsOf('मीरा')).toBe('म');
  });

  test('have one colour for one person', () => {
    const tones = Array.from({ length: 60 }, (_, at) => toneOf(`user-${at}`));
    expect(new Set(tones)).toEqual(new Set([0, 1, 2, 3, 4, 5]));
    expect(toneOf('asha')).toBe(toneOf('asha'));
  });
});

describe('a sentence', () => {
  test('calls a person by the name, and by the id where there is none', () => {
    expect(called('asha')).toBe('asha');
    hear('asha', 'Asha Verma');
    hear('ravi', '');
    expect(called('asha')).toBe('Asha Verma');
    expect(listOf(['asha', 'ravi'])).toBe('Asha Verma and ravi');
    forgetNames();
    expect(called('asha')).toBe('asha');
  });

  test('tells two people of one name apart by their ids', () => {
    hear('ravi', 'Ravi Kumar');
    hear('ravi2', 'RAVI KUMAR');
    hear('asha', 'Asha Verma');
    expect(called('ravi')).toBe('Ravi Kumar (ravi)');
    expect(called('ravi2')).toBe('RAVI KUMAR (ravi2)');
    expect(called('asha')).toBe('Asha Verma');
  });

  test('is not deceived by a name that is another one’s id', () => {
    hear('ravi', '');
    hear('mallory', 'Ravi');
    expect(called('mallory')).toBe('Ravi (mallory)');
    expect(called('ravi')).toBe('ravi');
    hear('asha', 'asha');
    expect(called('asha')).toBe('asha');
  });
});

test('a token says what its user is called, if it does', () => {
  const token = (claims: object) => {
    const bytes = new TextEncoder().encode(JSON.stringify({ sub: 'asha', exp: 1, ...claims }));
    return `x.${btoa(String.fromCharCode(...bytes))}.x`;
  };
  expect(readClaims(token({ name: ' आशा वर्मा ' })).name).toBe('आशा वर्मा');
  for (const name of [undefined, '', ' ', 7, null]) {
    expect(readClaims(token({ name }))).toEqual({ sub: 'asha', exp: 1, roles: ['user'] });
  }
});

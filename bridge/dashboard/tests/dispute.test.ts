/** A dispute: how the held money may be divided, what was said, and what may be attached. */
import { describe, expect, test } from 'vitest';
import { claimOf, divide, figuresFor, releaseOf, type Claim } from '../src/escrow/division';
import { fileName, fileProblem, FILE_MAX_BYTES, sizeWords } from '../src/escrow/file';
import { talkOf } from '../src/escrow/talk';
import { hasArrived } from '../src/components/dispute/useDraft';
import { escrow, event } from './example';

const HELD_MINOR = 1_250_051;

describe('a split', () => {
  test('an amount for one side leaves the rest to the other, to the paisa', () => {
    const back: Claim = { side: 'buyer', figures: '2,500.26' };
    expect(releaseOf(back, HELD_MINOR)).toBe(1_000_025);
    expect(figuresFor('seller', back, HELD_MINOR)).toBe('10000.25');
    expect(figuresFor('buyer', back, HELD_MINOR)).toBe('2,500.26');
  });

  test('whatever is chosen, the parts are all that is held', () => {
    for (const held_minor of [100, 101, 199, HELD_MINOR, 10 ** 12 - 1]) {
      const held = escrow('DISPUTED', { held_minor });
      for (const choice of ['seller', 'buyer', 'half'] as const) {
        const division = divide(releaseOf(claimOf(choice, held_minor), held_minor) ?? -1, held, held);
        expect(division.release_minor + division.refund_minor).toBe(held_minor);
        expect(division.payout_minor + division.fee_minor).toBe(division.release_minor);
        expect(Math.min(division.release_minor, division.refund_minor, division.fee_minor)).toBeGreaterThanOrEqual(0);
      }
    }
  });

  test('the choices give all to one side, or half with the odd paisa back to the buyer', () => {
    expect(releaseOf(claimOf('seller', HELD_MINOR), HELD_MINOR)).toBe(HELD_MINOR);
    expect(releaseOf(claimOf('buyer', HELD_MINOR), HELD_MINOR)).toBe(0);
    expect(releaseOf(claimOf('half', HELD_MINOR), HELD_MINOR)).toBe(625_025);
  });

  test('what is no amount, or too much, leaves the other side empty', () => {
    for (const figures of ['', 'half', '12,500.52']) {
      expect(figuresFor('buyer', { side: 'seller', figures }, HELD_MINOR)).toBe('');
    }
    expect(releaseOf({ side: 'buyer', figures: '' }, HELD_MINOR)).toBeNull();
  });
});

describe('what was said', () => {
  const file = { file_id: 'f1', name: 'leg.png', content_type: 'image/png', size_bytes: 9, sha256: 'aa' };
  const events = [
    event('dispute_raised', { version: 5, actor_id: 'asha', event_data: { reason: 'A leg is short' } }),
    event('message_added', {
      version: 6,
      actor_id: 'ravi',
      event_data: { text: 'It stood well', attachments: [file] },
    }),
    event('message_added', { version: 7, actor_id: 'root', milestone_id: 'm1', event_data: { text: 'x' } }),
    event('dispute_resolved', { version: 8, actor_id: 'meera', event_data: { note: 'Half each' } }),
  ];

  test('is the complaint, the messages and the verdict of one piece, each with its role', () => {
    const said = talkOf(escrow('DISPUTED'), events);
    expect(said.map((one) => [one.version, one.role, one.kind, one.text])).toEqual([
      [5, 'buyer', 'raised', 'A leg is short'],
      [6, 'seller', 'message', 'It stood well'],
      [8, 'arbiter', 'resolved', 'Half each'],
    ]);
    expect(said[1]?.attachments).toEqual([file]);
    expect(talkOf(escrow('DISPUTED'), events, 'm1').map((one) => one.role)).toEqual(['admin']);
  });

  test('an attempt has arrived only with a newer message of the same words and files', () => {
    const said = talkOf(escrow('DISPUTED'), events);
    const attempt = { key: 'k', text: 'It stood well', file_ids: ['f1'], after_version: 5 };
    expect(hasArrived(attempt, said, 'ravi')).toBe(true);
    expect(hasArrived({ ...attempt, after_version: 6 }, said, 'ravi')).toBe(false);
    expect(hasArrived({ ...attempt, file_ids: [] }, said, 'ravi')).toBe(false);
    expect(hasArrived(attempt, said, 'asha')).toBe(false);
    expect(hasArrived(null, said, 'ravi')).toBe(false);
  });
});

describe('a file', () => {
  test('is a picture or a PDF of up to 10 MB', () => {
    expect(fileProblem({ type: 'image/webp', size: FILE_MAX_BYTES })).toBe('');
    expect(fileProblem({ type: 'application/pdf', size: 1 })).toBe('');
    expect(fileProblem({ type: 'image/svg+xml', size: 1 })).toContain('Only pictures');
    expect(fileProblem({ type: 'image/png', size: 0 })).toBe('This file is empty.');
    expect(fileProblem({ type: 'image/png', size: 12 * 1024 * 1024 })).toContain('12.0 MB');
  });

  test('is named in no more letters than the server takes, with its ending', () => {
    expect(fileName('leg.png')).toBe('leg.png');
    const long = fileName(`${'😀'.repeat(300)}.png`);
    expect(Array.from(long)).toHaveLength(200);
    expect(long).toMatch(/\.png$/);
  });

  test('has a size in words', () => {
    expect([1, 2_048, 3_500_000].map(sizeWords)).toEqual(['1 KB', '2 KB', '3.3 MB']);
  });
});

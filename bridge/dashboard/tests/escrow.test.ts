import { describe, expect, test } from 'vitest';
import { readEscrow, readEvent, type Escrow } from '../src/api/wire';
import { mergeByVersion } from '../src/api/live';
import { newer } from '../src/api/cache';
import { actionsOf, turnOf } from '../src/escrow/action';
import { EMPTY_DRAFT, fieldOf, problemsIn, requestOf } from '../src/escrow/draft';
import { formatMoney, parseMoney } from '../src/escrow/money';
import { pathOf } from '../src/escrow/path';
import { ago } from '../src/escrow/time';
import type { EscrowStatus } from '../src/services/websocket';
import { attention, escrow, settlement, user, WIRE } from './example';

const asha = user('asha');
const verbs = (of: Escrow, who: ReturnType<typeof user>) => actionsOf(of, who).map((a) => a.verb);

test('proto3 JSON is read into what the socket sends: numbers, and names without their prefix', () => {
  expect(readEscrow(WIRE)).toMatchObject({
    amount_minor: 1_250_050,
    amount: 12_500.5,
    status: 'HELD',
    version: 4,
    held_minor: 1_250_050,
    refunded_minor: 0,
    payment: { status: 'captured' },
    dispute: null,
    milestones: [],
    terms: { payment_window_s: 259_200, inspection_period_s: 90, acceptance_required: false },
  });
});

test('an event reads as the escrow right after it, and what happened', () => {
  const event = readEvent({
    escrow_id: 'e1',
    version: '7',
    type: 'EVENT_TYPE_DISPUTE_RAISED',
    actor_id: 'asha',
    data: { reason: 'cracked' },
    escrow: { ...WIRE, status: 'ESCROW_STATUS_DISPUTED' },
  });
  expect(event).toMatchObject({ version: 7, event_type: 'dispute_raised', status: 'DISPUTED' });
});

test('an older answer never replaces a newer state', () => {
  const [old, young] = [escrow('HELD', { version: 4 }), escrow('SETTLING', { version: 5 })];
  expect(newer(young, old)).toBe(young);
  expect(newer(old, young)).toBe(young);
});

test('history and live events merge to each version once, in order', () => {
  const event = (version: number) => readEvent({ escrow_id: 'e1', version: `${version}`, type: '' });
  const merged = mergeByVersion([event(1), event(2)], [event(3), event(2)]);
  expect(merged.map((one) => one.version)).toEqual([1, 2, 3]);
});

describe('amounts', () => {
  test.each([
    ['10,000', 1_000_000],
    ['₹ 1,00,000.5', 10_000_050],
    ['0.05', 5],
    ['1.005', null],
    ['-5', null],
    ['1e9', null],
    ['', null],
    ['99999999999', null],
  ])('%s reads as %s paise', (text, amount_minor) => {
    expect(parseMoney(text)).toBe(amount_minor);
  });

  test('they are written as India writes them, with paise only where there are any', () => {
    expect(formatMoney(10_000_000)).toBe('₹1,00,000');
    expect(formatMoney(10_000_050)).toBe('₹1,00,000.50');
  });
});

describe('what may be done', () => {
  test('the buyer pays or cancels, the seller cancels', () => {
    expect(verbs(escrow('INITIATED'), asha)).toEqual(['pay', 'cancel']);
    expect(verbs(escrow('INITIATED'), user('ravi'))).toEqual(['cancel']);
    expect(verbs(escrow('INITIATED'), user('meera'))).toEqual([]);
  });

  test('while money is held, each side may give it up, and confirm once', () => {
    expect(verbs(escrow('HELD'), asha)).toEqual(['confirm', 'release', 'dispute']);
    expect(verbs(escrow('HELD'), user('ravi'))).toEqual(['confirm', 'refund', 'dispute']);
    const confirmed = escrow('HELD', { confirmations: [{ party: 'buyer', time: null }] });
    expect(verbs(confirmed, asha)).toEqual(['release', 'dispute']);
  });

  test('a dispute is decided by its arbiter and withdrawn by who raised it', () => {
    const dispute = { raised_by: 'asha', reason: 'cracked', status: 'open' as const, note: '' };
    const disputed = escrow('DISPUTED', { dispute });
    expect(verbs(disputed, user('meera'))).toEqual(['resolve']);
    expect(verbs(disputed, asha)).toEqual(['withdrawDispute']);
    expect(verbs(disputed, user('ravi'))).toEqual([]);
    expect(verbs(disputed, user('root', ['admin']))).toEqual(['resolve']);
  });

  test('nothing while it settles, except that an admin may decide anew, and retry a stuck one', () => {
    const root = user('root', ['admin']);
    expect(verbs(escrow('SETTLING'), asha)).toEqual([]);
    expect(verbs(escrow('SETTLING'), root)).toEqual(['override']);
    const stuck = { attentions: [attention('GATEWAY_REFUSED')], settlement: settlement(100, 0) };
    expect(verbs(escrow('SETTLING', stuck), root)).toEqual(['release', 'override']);
    const made = { refund_id: 'rfnd_1', amount_minor: 100, bank_reference: null, time: null };
    const payment = { ...escrow('HELD').payment, refunds: [made] };
    const begun = { ...stuck, refunded_minor: 100, payment };
    expect(verbs(escrow('SETTLING', begun), root)).toEqual(['release']);
    expect(verbs(escrow('SETTLING', stuck), asha)).toEqual([]);
  });

  test('the side that did not create it accepts, and the buyer pays after that', () => {
    const terms = { ...escrow('INITIATED').terms, acceptance_required: true };
    const invited = { created_by: 'asha', terms };
    expect(verbs(escrow('INITIATED', invited), asha)).toEqual(['cancel']);
    expect(verbs(escrow('INITIATED', invited), user('ravi'))).toEqual(['accept', 'cancel']);
    const acceptances = [{ party: 'seller' as const, time: null }];
    expect(verbs(escrow('INITIATED', { ...invited, acceptances }), asha)).toEqual(['pay', 'cancel']);
    expect(verbs(escrow('INITIATED', { ...invited, acceptances }), user('ravi'))).toEqual(['cancel']);
  });

  test('of what the seller created the buyer may pay at once: paying accepts', () => {
    const terms = { ...escrow('INITIATED').terms, acceptance_required: true };
    const offered = escrow('INITIATED', { created_by: 'ravi', terms });
    expect(verbs(offered, asha)).toEqual(['pay', 'accept', 'cancel']);
  });

  test('while the seller is absent, the buyer may take the money back', () => {
    const absent = escrow('HELD', { created_by: 'asha' });
    expect(verbs(absent, asha)).toEqual(['confirm', 'release', 'dispute', 'refund']);
    expect(verbs(absent, user('ravi'))).toEqual(['accept', 'confirm', 'refund', 'dispute']);
    const present = [
      { acceptances: [{ party: 'seller' as const, time: null }] },
      { confirmations: [{ party: 'seller' as const, time: null }] },
      { dispute: { raised_by: 'ravi', reason: '', status: 'withdrawn' as const, note: '' } },
    ];
    for (const one of present) {
      expect(verbs(escrow('HELD', { created_by: 'asha', ...one }), asha)).not.toContain('refund');
    }
  });

  test('of milestones the absent seller leaves all at once', () => {
    const milestone = { ...escrow('HELD'), milestone_id: 'm1' };
    const parted = escrow('HELD', { created_by: 'asha', milestones: [milestone] });
    expect(actionsOf(parted, asha).at(-1)).toEqual({ verb: 'refund' });
  });

  test('each milestone has actions of its own', () => {
    const milestone = { ...escrow('HELD'), milestone_id: 'm2', title: 'Second' };
    const parted = escrow('HELD', {
      milestones: [{ ...milestone, milestone_id: 'm1', status: 'RELEASED' }, milestone],
    });
    expect(actionsOf(parted, asha).map((a) => [a.verb, a.milestone?.milestone_id])).toEqual([
      ['confirm', 'm2'],
      ['release', 'm2'],
      ['dispute', 'm2'],
    ]);
  });

  test('it says whose turn it is', () => {
    expect(turnOf(escrow('INITIATED'), asha)).toBe('Your turn to pay');
    expect(turnOf(escrow('INITIATED'), user('ravi'))).toBe('');
    expect(turnOf(escrow('RELEASED'), asha)).toBe('');
    expect(turnOf(escrow('INITIATED', { created_by: 'asha' }), user('ravi'))).toBe('Your turn to accept');
    const waiting = escrow('SETTLING', { attentions: [attention('PAYEE_MISSING')] });
    expect(turnOf(waiting, user('ravi'))).toBe('Add where you are paid');
    expect(turnOf(waiting, asha)).toBe('');
  });
});

describe('the path', () => {
  const drawn = (of: Escrow) => pathOf(of).map((step) => `${step.label} ${step.state}`);

  test('leads from agreed to its end', () => {
    expect(drawn(escrow('HELD'))).toEqual([
      'Agreed done',
      'Paid done',
      'Delivered current',
      'Decided ahead',
      'Paid out ahead',
    ]);
    expect(drawn(escrow('SPLIT', { dispute: { raised_by: '', reason: '', status: 'resolved', note: '' } }))).toEqual([
      'Agreed done',
      'Paid done',
      'Delivered skipped',
      'Decided done',
      'Divided current',
    ]);
    expect(drawn(escrow('CANCELLED'))).toEqual(['Agreed done', 'Cancelled current']);
  });

  test('goes on to the decision once the seller has delivered', () => {
    const current = (of: Escrow) => pathOf(of).find((step) => step.state === 'current')?.label;
    const confirmedBy = (...parties: ('buyer' | 'seller')[]) => parties.map((party) => ({ party, time: null }));
    expect(current(escrow('HELD', { confirmations: confirmedBy('seller') }))).toBe('Decided');
    expect(current(escrow('HELD', { confirmations: confirmedBy('buyer') }))).toBe('Delivered');
    const milestone = { ...escrow('HELD'), milestone_id: 'm1' };
    expect(current(escrow('SETTLING', { milestones: [milestone] }))).toBe('Delivered');
    expect(current(escrow('SETTLING', { milestones: [{ ...milestone, status: 'SETTLING' }] }))).toBe('Paid out');
  });

  test('says that it was delivered only where somebody did', () => {
    const delivered = (of: Escrow) => pathOf(of).find((step) => step.key === 'delivered')?.state;
    const confirmations = [{ party: 'seller' as const, time: null }];
    expect(delivered(escrow('DISPUTED'))).toBe('skipped');
    expect(delivered(escrow('DISPUTED', { confirmations }))).toBe('done');
    expect(delivered(escrow('REFUNDED'))).toBe('skipped');
    expect(delivered(escrow('RELEASED'))).toBe('done');
    expect(delivered(escrow('SETTLING', { settlement: settlement(100, 0) }))).toBe('done');
    expect(delivered(escrow('SETTLING', { settlement: settlement(0, 100) }))).toBe('skipped');
  });

  test('has exactly one current step in every status', () => {
    const statuses: EscrowStatus[] = ['INITIATED', 'HELD', 'DISPUTED', 'SETTLING', 'RELEASED'];
    for (const status of [...statuses, 'REFUNDED', 'SPLIT', 'CANCELLED'] as EscrowStatus[]) {
      const now = pathOf(escrow(status)).filter((step) => step.state === 'current');
      expect(now, status).toHaveLength(1);
    }
  });
});

describe('a draft', () => {
  const good = { ...EMPTY_DRAFT, title: ' Table ', other_id: 'ravi', amount: '48,500' };

  test('becomes the request of the user who writes it', () => {
    expect(problemsIn(good, 'asha')).toEqual({});
    expect(requestOf(good, 'asha')).toMatchObject({
      buyer_id: 'asha',
      seller_id: 'ravi',
      title: 'Table',
      amount: { amount_minor: '4850000', currency: 'INR' },
      terms: {
        payment_window: '259200s',
        inspection_period: '604800s',
        acceptance_required: true,
      },
      milestones: [],
    });
    expect(requestOf({ ...good, part: 'seller' }, 'asha')).toMatchObject({ buyer_id: 'ravi' });
  });

  test('with milestones has their sum as its amount', () => {
    const milestones = [
      { title: 'a', amount: '1.50' },
      { title: 'b', amount: '2' },
    ];
    const parted = { ...good, has_milestones: true, milestones };
    expect(requestOf(parted, 'asha')).toMatchObject({ amount: { amount_minor: '350' } });
    expect(problemsIn({ ...parted, milestones: [{ title: '', amount: 'x' }] }, 'asha')).toEqual({
      'milestones.0.title': 'Give it a name.',
      'milestones.0.amount': 'Write an amount in rupees, such as 10,000 or 99.50.',
    });
  });

  test('names each field that is wrong', () => {
    const bad = { ...EMPTY_DRAFT, other_id: 'asha', arbiter_id: 'asha', amount: '0.5' };
    expect(Object.keys(problemsIn(bad, 'asha')).sort()).toEqual([
      'amount',
      'arbiter_id',
      'other_id',
      'title',
    ]);
  });

  test("shows the server's messages at its own fields", () => {
    expect(fieldOf('seller_id', good)).toBe('other_id');
    expect(fieldOf('buyer_id', good)).toBe('part');
    expect(fieldOf('amount.amount_minor', good)).toBe('amount');
    expect(fieldOf('milestones[1].amount', good)).toBe('milestones.1.amount');
    expect(fieldOf('title', good)).toBe('title');
  });
});

test('the age of a time is written in words', () => {
  const now = Date.parse('2026-01-10T12:00:00Z');
  expect(ago('2026-01-10T11:59:40Z', now)).toBe('just now');
  expect(ago('2026-01-10T11:55:00Z', now)).toBe('5 minutes ago');
  expect(ago('2026-01-09T12:00:00Z', now)).toBe('yesterday');
  expect(ago('not a time', now)).toBe('');
});

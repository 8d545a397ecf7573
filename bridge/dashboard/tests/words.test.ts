/** What people read: who gets what, until when, what stands in the way, and how it ended. */
import { describe, expect, test } from 'vitest';
import { readEscrow, type Escrow } from '../src/api/wire';
import { askFor } from '../src/escrow/ask';
import { noticesFor } from '../src/escrow/attention';
import { deadlineHint, deadlineWords } from '../src/escrow/deadline';
import { divide, divisionProblem, verdictWords } from '../src/escrow/division';
import { endingWords, keptWords, refundDetails, returnsOf } from '../src/escrow/ending';
import { courseOf } from '../src/escrow/path';
import { feeOf, feeOn, plannedFee } from '../src/escrow/payout';
import { situation } from '../src/escrow/situation';
import { moment } from '../src/escrow/time';
import { eventDetail, eventWords } from '../src/escrow/word';
import { attention, escrow, event, settlement, user, WIRE } from './example';

process.env.TZ = 'Asia/Kolkata';
const AT = `${new Date().getFullYear()}-12-03T09:32:00Z`;
const WHEN = moment(AT);
const [asha, ravi, meera] = [user('asha'), user('ravi'), user('meera')];
const admin = user('root', ['admin']);
const inspected = { deadline: AT, deadline_action: 'RELEASE' as const };
const payable = { deadline: AT, deadline_action: 'CANCEL' as const };
const refund = { refund_id: 'rfnd_1', amount_minor: 500_000, bank_reference: 'ARN7', time: AT };
const confirmedBy = (party: 'buyer' | 'seller') =>
  escrow('HELD', { confirmations: [{ party, time: null }] });
const texts = (notices: { text: string }[]) => notices.map((one) => one.text);

test('a moment has its zone, and its year only where it is another one', () => {
  const now = Date.parse('2026-11-27T00:00:00Z');
  expect(moment('2026-12-03T09:32:00Z', now)).toBe('Thu 3 Dec, 3:02 pm IST');
  expect(moment('2027-01-04T09:32:00Z', now)).toBe('Mon 4 Jan 2027, 3:02 pm IST');
});

describe('the fee', () => {
  test.each([
    [1_250_050, 31_251],
    [1_000, 25],
    [101, 1],
    [100, 0],
    [0, 0],
  ])('on %s paise is %s: rounded down, and never so large that too little is left', (amount, fee) => {
    expect(feeOf(amount, 250)).toBe(fee);
  });

  test('on all of a piece is what the server has promised', () => {
    expect(feeOn(333, { amount_minor: 333, payout_minor: 324 }, 250)).toBe(9);
    expect(feeOn(300, { amount_minor: 333, payout_minor: 324 }, 250)).toBe(7);
    // Each milestone is rounded by itself.
    expect(plannedFee([333, 333], 250)).toBe(16);
  });

  test('stands in the dialogs of confirming, releasing and accepting', () => {
    const said = 'ravi gets ₹12,187.99; ₹312.51 is the platform’s fee';
    expect(askFor('confirm', escrow('HELD'), { verb: 'confirm' }, 'asha').text.join()).toContain(said);
    const release = askFor('release', escrow('HELD'), { verb: 'release' }, 'asha');
    expect(release.text.join()).toContain('gets ₹12,187.99; ₹312.51 is the platform’s fee');
    const accept = askFor('accept', escrow('INITIATED'), { verb: 'accept' }, 'ravi');
    expect(accept.text.join()).toContain('You get ₹12,187.99; ₹312.51 is the platform’s fee.');
  });
});

describe('deadlines', () => {
  test('each side is told what happens by itself, and what the seller gets', () => {
    const held = escrow('HELD', inspected);
    expect(deadlineWords(held, held, asha)).toBe(
      `Inspect until ${WHEN}. If you say nothing, ₹12,187.99 goes to ravi.`,
    );
    expect(deadlineWords(held, held, ravi)).toBe(
      `asha may inspect until ${WHEN}. If asha says nothing, ₹12,187.99 goes to you.`,
    );
    expect(deadlineWords(held, held, meera)).toContain('goes to ravi.');
  });

  test('the time to pay is told, with what must come before', () => {
    const unpaid = escrow('INITIATED', payable);
    expect(deadlineWords(unpaid, unpaid, asha)).toBe(`Pay by ${WHEN}. After that this escrow is cancelled.`);
    expect(deadlineWords(unpaid, unpaid, ravi)).toContain(`asha has until ${WHEN} to pay.`);
    const terms = { ...unpaid.terms, acceptance_required: true };
    const waiting = { ...unpaid, created_by: 'asha', terms };
    expect(deadlineWords(waiting, waiting, asha)).toContain('ravi must accept, and you pay, by');
  });

  test('a row has it in a few words, and none where no clock runs', () => {
    expect(deadlineHint(escrow('HELD', inspected), asha)).toBe(`Inspect until ${WHEN}`);
    expect(deadlineHint(escrow('HELD', inspected), ravi)).toBe(`Paid out on ${WHEN}`);
    expect(deadlineHint(escrow('INITIATED', payable), asha)).toBe(`Pay by ${WHEN}`);
    expect(deadlineHint(escrow('INITIATED', payable), ravi)).toBe(`To be paid by ${WHEN}`);
    expect(deadlineHint(escrow('RELEASED'), asha)).toBe('');
  });

  test('the reminder stands in the timeline in words', () => {
    const near = event('deadline_near', { status: 'HELD', ...inspected });
    expect(eventWords(near)).toBe('The time to inspect is nearly over');
    expect(eventDetail(near)).toBe(`₹12,187.99 goes to ravi on ${WHEN} if asha says nothing`);
    expect(eventDetail(event('deadline_near', payable))).toBe(`Cancelled on ${WHEN} if it is not paid by then`);
  });
});

describe('what stands in the way', () => {
  const stuck = escrow('SETTLING', {
    settlement: settlement(1_250_050, 0, 31_251),
    attentions: [attention('PAYEE_MISSING')],
  });

  test('the seller is asked for an account, from the agreement on', () => {
    for (const [status, words] of [
      ['INITIATED', 'Add where you want to be paid: ₹12,187.99 will go there.'],
      ['HELD', 'Add where you want to be paid: ₹12,187.99 are waiting.'],
    ] as const) {
      expect(noticesFor(escrow(status), ravi, false)).toEqual([{ text: words, asksForAccount: true }]);
      expect(noticesFor(escrow(status), ravi, true)).toEqual([]);
      expect(noticesFor(escrow(status), ravi)).toEqual([]);
    }
    expect(noticesFor(stuck, ravi, false)).toHaveLength(1);
  });

  test('nobody is asked for an account to which nothing will go', () => {
    const refunding = escrow('SETTLING', { settlement: settlement(0, 1_250_050) });
    expect(noticesFor(refunding, ravi, false)).toEqual([]);
    expect(noticesFor(escrow('RELEASED'), ravi, false)).toEqual([]);
  });

  test('the buyer is told that their part is done, the operator the code', () => {
    expect(texts(noticesFor(stuck, asha))).toEqual([
      'Your part is done; ravi still has to add an account to be paid to.',
    ]);
    expect(texts(noticesFor(stuck, meera))).toEqual(['ravi still has to add an account to be paid to.']);
    expect(noticesFor(stuck, admin)).toEqual([
      { code: 'PAYEE_MISSING', text: 'The sentence of PAYEE_MISSING.' },
    ]);
  });

  test('several things are told at once, and no party reads a code or an engineer’s sentence', () => {
    const codes = [
      'BANK_DISPUTE',
      'PLATFORM_LOSS',
      'FOREIGN_TRANSFER',
      'FOREIGN_REFUND',
      'GATEWAY_REFUSED',
      'PAYEE_REFUSED',
      'PAYEE_MISSING',
      'BOOKS_DIFFER',
      'SURPLUS_PAYMENT',
      'OF_A_NEWER_SERVER',
    ];
    const troubled = { ...stuck, attentions: codes.map((code) => attention(code)) };
    for (const reader of [asha, ravi, meera]) {
      const told = texts(noticesFor(troubled, reader));
      expect(told.length).toBeGreaterThan(3);
      expect(told.join()).not.toMatch(/[A-Z]{2}|sentence of/);
      expect(new Set(told).size).toBe(told.length);
    }
    expect(noticesFor(troubled, admin)).toHaveLength(codes.length);
  });

  test('Razorpay is said to move the money only while it does', () => {
    const reading = { events: [] };
    const moving = { ...stuck, attentions: [] };
    expect(situation(moving, asha, reading)).toBe('Decided: ravi gets ₹12,187.99. Razorpay is moving the money now.');
    expect(situation(stuck, asha, reading)).toBe('Decided: ravi gets ₹12,187.99. The money has not moved yet.');
    expect(situation(moving, ravi, { ...reading, hasAccount: false })).toContain('has not moved yet');
  });
});

describe('a verdict', () => {
  test('shows what each side has of it after the fee', () => {
    const held = escrow('DISPUTED');
    const half = divide(600_000, held, held);
    expect(half).toEqual({
      release_minor: 600_000,
      refund_minor: 650_050,
      fee_minor: 15_000,
      payout_minor: 585_000,
    });
    expect(verdictWords(half, held)).toBe('Pay ravi ₹5,850, give asha ₹6,500.50 back');
    expect(verdictWords(divide(0, held, held), held)).toBe('Give asha ₹12,500.50 back, pay ravi nothing');
    expect(verdictWords(divide(1_250_050, held, held), held)).toBe(
      'Pay ravi ₹12,187.99, give asha nothing back',
    );
  });

  test('cannot be nothing, too much, or a crumb', () => {
    expect(divisionProblem(null, 10_000, 'INR')).toContain('Write an amount');
    expect(divisionProblem(10_001, 10_000, 'INR')).toBe('No more than ₹100 is held.');
    expect(divisionProblem(9_950, 10_000, 'INR')).toContain('at least ₹1');
    expect(divisionProblem(10_000, 10_000, 'INR')).toBe('');
  });
});

describe('endings', () => {
  const late = escrow('CANCELLED', {
    amount_minor: 500_000,
    held_minor: 500_000,
    payment: { ...readEscrow(WIRE).payment, status: 'captured' },
  });

  test('a payment that came while the other side called it off', () => {
    const events = [event('escrow_cancelled', { actor_id: 'ravi' })];
    expect(endingWords(late, events, 'asha')).toBe(
      'ravi called it off while you were paying; your ₹5,000 are on their way back, usually 5 to 7 working days.',
    );
    expect(endingWords(late, events, 'ravi')).toBe(
      'You called it off while asha was paying; ₹5,000 are on their way back to asha.',
    );
    const byClock = [event('escrow_cancelled', { actor_id: 'clock' })];
    expect(endingWords(late, byClock, 'asha')).toContain('The time to pay ran out while you were paying');
    expect(endingWords({ ...late, held_minor: 0 }, events, 'asha')).toBe('ravi called it off before it was paid.');
  });

  test('a refund has its number and the bank’s, where there is one', () => {
    const payment = { ...late.payment, refunds: [refund] };
    const [back] = returnsOf({ ...late, payment }, 'asha');
    expect(back?.text).toBe('₹5,000 sent back to you; usually 5 to 7 working days.');
    expect(refundDetails(refund).map((one) => `${one.name} ${one.value}`)).toEqual([
      'Refund rfnd_1',
      'Bank reference ARN7',
      `Sent 3 Dec ${new Date().getFullYear()}`,
    ]);
    expect(refundDetails({ ...refund, bank_reference: null })).toHaveLength(2);
  });

  test('a payment of no use is told with its reason, before and after it is sent back', () => {
    const why = 'it was paid with an offer that took ₹100 off the ₹900 of the escrow';
    const one = { payment_id: 'pay_2', amount_minor: 80_000, currency: 'INR', why, refunded_minor: 0, refund: null };
    const [waiting] = returnsOf(escrow('INITIATED', { returned_payments: [one] }), 'asha');
    expect(waiting?.text).toBe(
      `₹800 of your money are on their way back; usually 5 to 7 working days. The reason: ${why}.`,
    );
    const done = { ...one, refunded_minor: 80_000, refund };
    const [sent] = returnsOf(escrow('INITIATED', { returned_payments: [done] }), 'ravi');
    expect(sent?.text).toContain('₹800 of asha’s money were sent back');
    expect(sent?.refunds).toEqual([refund]);
  });

  test('what the bank gave back, and what nobody gives back', () => {
    const byBank = escrow('REFUNDED', { refunded_minor: 500_000, refunded_by: 'bank' });
    expect(endingWords(byBank, [], 'asha')).toBe('Your bank has given you ₹5,000 back.');
    expect(endingWords(byBank, [], 'ravi')).toBe('asha’s bank has taken ₹5,000 back for asha.');
    const payment = { ...byBank.payment, customer_fee_minor: 23_600 };
    expect(keptWords({ ...byBank, payment }, 'asha')).toBe(
      '₹236 that you paid on top is Razorpay’s fee for the payment. It is not given back.',
    );
    expect(keptWords(byBank, 'asha')).toBe('');
  });

  test('each side reads what it got', () => {
    const split = escrow('SPLIT', { released_minor: 585_000, refunded_minor: 650_050, fee_minor: 15_000 });
    expect(endingWords(split, [], 'ravi')).toBe('You got ₹5,850, and asha ₹6,500.50 back.');
    expect(endingWords(split, [], 'asha')).toBe('ravi got ₹5,850, and you ₹6,500.50 back.');
    expect(endingWords(escrow('RELEASED', { released_minor: 1_218_799 }), [], 'asha')).toBe(
      'ravi has been paid ₹12,187.99.',
    );
  });
});

describe('confirming', () => {
  const said = (of: Escrow, reader: string) => askFor('confirm', of, { verb: 'confirm' }, reader);

  test('is what it does: the buyer has received it and pays, the seller has delivered', () => {
    expect(said(escrow('HELD'), 'asha')).toMatchObject({
      label: 'I have received it',
      deed: 'I have received it, pay ravi',
    });
    expect(said(escrow('HELD'), 'ravi').deed).toBe('I have delivered it');
  });

  test('says that it cannot be undone where it moves the money at once', () => {
    for (const [of, reader] of [[confirmedBy('seller'), 'asha'], [confirmedBy('buyer'), 'ravi']] as const) {
      expect(said(of, reader).text.join()).toContain('at once. This cannot be undone.');
    }
    expect(said(escrow('HELD'), 'asha').text.join()).toContain('as soon as ravi has confirmed too');
  });
});

test('what cannot be undone says so', () => {
  for (const verb of ['release', 'refund', 'cancel'] as const) {
    const ask = askFor(verb, escrow('HELD', { created_by: 'asha' }), { verb }, 'asha');
    expect(ask.text.join(), verb).toContain('This cannot be undone.');
  }
});

test('the course says what is now, and what comes next', () => {
  expect(courseOf(escrow('HELD'))).toEqual([
    'Now: ravi delivers, and asha looks at it.',
    'Next: both confirm, or the time to inspect ends.',
  ]);
  expect(courseOf(confirmedBy('seller'))).toEqual([
    'Now: asha looks at it and confirms. ravi has delivered.',
    'Next: the money is paid out.',
  ]);
  expect(courseOf(confirmedBy('buyer'))).toEqual([
    'Now: ravi confirms as well. asha has received it.',
    'Next: the money is paid out.',
  ]);
  expect(courseOf(escrow('SETTLING'))).toEqual(['Now: the money is on its way.']);
  expect(courseOf(escrow('SETTLING', { attentions: [attention('PAYEE_MISSING')] }))).toEqual([
    'Now: it is decided, but the money has not moved yet.',
  ]);
  const milestone = { ...escrow('HELD'), milestone_id: 'm1' };
  expect(courseOf(escrow('SETTLING', { milestones: [milestone] }))).toEqual([
    'Now: each milestone is delivered, looked at and paid out by itself.',
  ]);
  expect(courseOf(escrow('RELEASED'))).toEqual([]);
});

test('a failed payment says why in words, and quotes a reason that nobody knows', () => {
  const failed = (reason: string) => eventDetail(event('payment_failed', { event_data: { reason } }));
  expect(failed('payment_cancelled')).toBe('the buyer broke the payment off');
  expect(failed('moon_too_far')).toBe('Razorpay’s own word for it: “moon too far”');
  expect(failed('')).toBe('');
});

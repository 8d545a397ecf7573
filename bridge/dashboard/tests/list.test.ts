// @vitest-environment jsdom
/** What a list asks the server, when it asks again, and what its file has. */
import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { applyEscrow, keys } from '../src/api/cache';
import { isFiltered, mayMove, questionOf, readFilter } from '../src/api/filter';
import { readEscrow, type Escrow } from '../src/api/wire';
import { toCsv } from '../src/escrow/csv';
import { deedWords, outcomeWords } from '../src/feedback/deed';
import { noticeWords } from '../src/feedback/notice';
import { setTitle, setWaiting } from '../src/feedback/waiting';
import { attention, escrow, event, user, WIRE } from './example';

process.env.TZ = 'Asia/Kolkata';
const filterOf = (address: string, reader = user('asha')) => readFilter(new URLSearchParams(address), reader);
const never = () => false;
const isHeld = (one: Escrow) => one.status === 'HELD';

test('everything that is filtered is asked of the server, days in the reader’s time zone', () => {
  const filter = filterOf('q=oak&status=HELD&part=seller&attention=yes&from=2026-11-01&until=2026-11-30&order=oldest');
  expect(Object.fromEntries(questionOf(filter))).toEqual({
    query: 'oak',
    status: 'ESCROW_STATUS_HELD',
    role: 'ESCROW_ROLE_SELLER',
    attention: 'true',
    create_time_from: '2026-10-31T18:30:00.000Z',
    create_time_to: '2026-11-30T18:30:00.000Z',
    order_by: 'ESCROW_ORDER_OLDEST',
  });
  expect(questionOf(filterOf('part=turn')).get('needs_me')).toBe('true');
});

test('days are of the last change where that is chosen, and one reason is asked for by its code', () => {
  const filter = filterOf('order=newest&attention=PAYEE_MISSING&dates=changed&from=2026-11-01&until=2026-11-30');
  expect(Object.fromEntries(questionOf(filter))).toEqual({
    attention_code: 'ATTENTION_CODE_PAYEE_MISSING',
    update_time_from: '2026-10-31T18:30:00.000Z',
    update_time_to: '2026-11-30T18:30:00.000Z',
    order_by: 'ESCROW_ORDER_NEWEST',
  });
  expect(isFiltered(filterOf('dates=changed'))).toBe(false);
  expect(isFiltered(filterOf('attention=NONSENSE'))).toBe(false);
});

test('without a filter what waits for the reader is first, and nonsense in the address is left out', () => {
  const filter = filterOf('part=thief&order=sideways&from=2026-99-99x');
  expect(isFiltered(filter)).toBe(false);
  expect([...questionOf(filter).keys()]).toEqual(['order_by']);
  expect(questionOf(filter).get('order_by')).toBe('ESCROW_ORDER_NEEDS_ME');
});

test('an admin’s list, which has everybody’s escrows, begins with the newest', () => {
  const admin = user('admin', ['admin']);
  expect(filterOf('', admin).order).toBe('newest');
  expect(filterOf('order=turn', admin).order).toBe('newest');
});

test('a change that cannot move an escrow in the list asks nobody', () => {
  const before = escrow('INITIATED');
  const after = escrow('HELD');
  expect(mayMove(filterOf(''), before, after, never)).toBe(false);
  expect(mayMove(filterOf(''), before, after, isHeld)).toBe(true);
  expect(mayMove(filterOf('order=newest'), before, after, isHeld)).toBe(false);
  expect(mayMove(filterOf('order=newest&status=HELD'), before, after, never)).toBe(true);
  expect(mayMove(filterOf('order=newest&q=pay_1'), before, after, never)).toBe(true);
  expect(mayMove(filterOf('order=newest&dates=changed&from=2026-11-01'), before, after, never)).toBe(true);
  expect(mayMove(filterOf('order=newest&dates=changed'), before, after, never)).toBe(false);
  const [missing, refused] = ['PAYEE_MISSING', 'PAYEE_REFUSED'].map((code) =>
    escrow('HELD', { attentions: [attention(code)] }),
  ) as [Escrow, Escrow];
  expect(mayMove(filterOf('order=newest&attention=PAYEE_MISSING'), missing, refused, never)).toBe(true);
  expect(mayMove(filterOf('order=newest&attention=PAYEE_MISSING'), missing, missing, never)).toBe(false);
});

let client: QueryClient;
let stop: () => void;

beforeEach(() => {
  client = new QueryClient();
  const filter = filterOf('order=newest');
  const page = { escrows: [escrow('INITIATED', { version: 2 })], next: '', reached: '' };
  client.setQueryData(keys.list(filter), { pages: [page], pageParams: [''] });
  const observer = new QueryObserver(client, { queryKey: keys.list(filter), staleTime: Infinity });
  stop = observer.subscribe(() => undefined);
});

afterEach(() => {
  stop();
  client.clear();
});

test('an event of a listed escrow changes its row, and asks for what it moves', () => {
  const after = escrow('CANCELLED', { version: 3 });
  expect(applyEscrow(client, after, never)).toEqual({ movesLists: false, movesTotals: false });
  const lists = client.getQueriesData<{ pages: { escrows: Escrow[] }[] }>({ queryKey: keys.lists });
  expect(lists[0]?.[1]?.pages[0]?.escrows[0]?.status).toBe('CANCELLED');
  const held = escrow('HELD', { version: 4, held_minor: 100 });
  expect(applyEscrow(client, held, never)).toEqual({ movesLists: false, movesTotals: true });
});

test('an escrow that is not listed asks for the list and the totals', () => {
  const other = { ...escrow('INITIATED'), escrow_id: 'another' };
  expect(applyEscrow(client, other, never)).toEqual({ movesLists: true, movesTotals: true });
});

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', ' =1', '＝1'])('a cell that begins as %j is disarmed', (title) => {
  const [, line] = toCsv([escrow('HELD', { title })]).split('\r\n');
  expect(line?.split(',')[1]).toBe(`'${title}`);
});

test('amounts in the file are exact to the paisa, and quotes are doubled', () => {
  const [head, line] = toCsv([escrow('HELD', { amount_minor: 999_999_999_907, title: 'a "b", c' })]).split('\r\n');
  expect(head?.startsWith('\uFEFFescrow_id,title,')).toBe(true);
  expect(line).toContain('"a ""b"", c"');
  expect(line).toContain(',9999999999.07,');
});

test('names stand in the file as they are typed', () => {
  const [, line] = toCsv([escrow('HELD', { buyer_id: 'deSouza', seller_id: 'आशा', title: 'éCLAIR' })]).split('\r\n');
  expect(line).toContain(',éCLAIR,HELD,deSouza,आशा,');
});

test('the title counts what waits, and nothing when nothing does', () => {
  setTitle('Escrows · Holdfast');
  setWaiting(2);
  expect(document.title).toBe('(2) Escrows · Holdfast');
  setWaiting(0);
  expect(document.title).toBe('Escrows · Holdfast');
});

test('what is decided is said with its amount, and called paid only when it has moved', () => {
  const done = (verb: string, answer: unknown) => deedWords({ path: `/api/v1/escrows/e:${verb}`, body: {} }, answer);
  const decided = {
    ...WIRE,
    status: 'ESCROW_STATUS_SETTLING',
    settlement: { release: { amount_minor: '120000' }, fee: { amount_minor: '3000' } },
  };
  expect(done('release', { escrow: decided })).toBe('Decided: ravi gets ₹1,170');
  const moved = event('settlement_completed', { ...readEscrow(decided), status: 'RELEASED' });
  expect(outcomeWords(moved)).toBe('Paid out ₹1,170 to ravi');
  expect(outcomeWords(moved)).toBe('');
  expect(done('pay', { order_id: 'order_1' })).toBe('');
});

test('money that has moved before the answer came is said once, and as paid', () => {
  const decided = {
    ...WIRE,
    escrow_id: 'quick',
    status: 'ESCROW_STATUS_SETTLING',
    settlement: { release: { amount_minor: '120000' }, fee: { amount_minor: '3000' } },
  };
  const answer = readEscrow(decided);
  const moved = event('settlement_completed', { ...answer, status: 'RELEASED', version: answer.version + 1 });
  const release = { path: '/api/v1/escrows/quick:release', body: {} };
  expect(outcomeWords(moved)).toBe('');
  expect(deedWords(release, { escrow: decided })).toBe('Paid out ₹1,170 to ravi');
  // An older settlement of the same escrow says nothing of a new decision.
  const later = { ...decided, version: `${moved.version + 1}` };
  expect(deedWords(release, { escrow: later })).toBe('Decided: ravi gets ₹1,170');
});

test('one is told of a turn once, of a dispute and a payment, and never of what one did oneself', () => {
  const [asha, ravi] = [user('asha'), user('ravi')];
  const made = event('escrow_created', { ...escrow('INITIATED'), actor_id: 'ravi' });
  expect(noticeWords(made, asha, false)).toContain('Your turn to pay');
  expect(noticeWords(made, asha, true)).toBe('');
  expect(noticeWords({ ...made, actor_id: 'asha' }, asha, false)).toBe('');
  const paid = event('payment_captured', { ...escrow('HELD'), actor_id: 'razorpay' });
  expect(noticeWords(paid, ravi, false)).toContain('has paid');
  const objected = event('dispute_raised', { ...escrow('DISPUTED'), actor_id: 'asha' });
  expect(noticeWords(objected, ravi, false)).toContain('asha raised a dispute');
  expect(noticeWords(objected, asha, false)).toBe('');
});

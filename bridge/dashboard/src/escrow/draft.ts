/** The form of a new escrow: its values, what is wrong with them, and the request that it sends. */
import { t } from '../words';
import { AMOUNT_MIN_MINOR, parseMoney } from './money';
import { lookAlike } from './person';

export interface DraftPart {
  title: string;
  amount: string;
}

export interface Draft {
  part: 'buyer' | 'seller';
  title: string;
  description: string;
  other_id: string;
  arbiter_id: string;
  /** Whether the other side must accept before the buyer pays. */
  needs_acceptance: boolean;
  has_milestones: boolean;
  amount: string;
  milestones: DraftPart[];
  payment_days: string;
  inspection_days: string;
}

export const EMPTY_PART: DraftPart = { title: '', amount: '' };

export const EMPTY_DRAFT: Draft = {
  part: 'buyer',
  title: '',
  description: '',
  other_id: '',
  arbiter_id: '',
  needs_acceptance: true,
  has_milestones: false,
  amount: '',
  milestones: [EMPTY_PART, EMPTY_PART],
  payment_days: '3',
  inspection_days: '7',
};

const DAY_S = 86_400;
const CURRENCY = 'INR';

/** What is decided by itself, in minor units: each milestone, or the whole; null while one is not valid. */
export function amountsOf(draft: Draft): number[] | null {
  const texts = draft.has_milestones ? draft.milestones.map(({ amount }) => amount) : [draft.amount];
  const amounts: number[] = [];
  for (const text of texts) {
    const amount = parseMoney(text);
    if (amount === null) return null;
    amounts.push(amount);
  }
  return amounts;
}

/** The total in minor units; null while one of the amounts is not valid. */
export function totalOf(draft: Draft): number | null {
  return amountsOf(draft)?.reduce((sum, amount) => sum + amount, 0) ?? null;
}

/** What is wrong, by field; empty if nothing is. */
export function problemsIn(draft: Draft, userId: string): Record<string, string> {
  const problems: Record<string, string> = {};
  if (!draft.title.trim()) problems.title = t('create.problem.title');
  Object.assign(problems, peopleProblems(draft, userId));
  if (!draft.has_milestones) {
    const problem = amountProblem(draft.amount);
    if (problem) problems.amount = problem;
    return problems;
  }
  draft.milestones.forEach((part, index) => {
    const problem = amountProblem(part.amount);
    if (!part.title.trim()) problems[`milestones.${index}.title`] = t('create.problem.name');
    if (problem) problems[`milestones.${index}.amount`] = problem;
  });
  return problems;
}

/** The body of CreateEscrow. Call it with a draft that has no problems. */
export function requestOf(draft: Draft, userId: string): Record<string, unknown> {
  const other = draft.other_id.trim();
  const [buyer_id, seller_id] = draft.part === 'buyer' ? [userId, other] : [other, userId];
  return {
    buyer_id,
    seller_id,
    arbiter_id: draft.arbiter_id.trim(),
    title: draft.title.trim(),
    description: draft.description.trim(),
    amount: money(totalOf(draft)),
    terms: {
      payment_window: `${Number(draft.payment_days) * DAY_S}s`,
      inspection_period: `${Number(draft.inspection_days) * DAY_S}s`,
      acceptance_required: draft.needs_acceptance,
    },
    milestones: draft.has_milestones
      ? draft.milestones.map(({ title, amount }) => ({
          title: title.trim(),
          amount: money(parseMoney(amount)),
        }))
      : [],
  };
}

/** The form's field for a field of the request, so that the server's message appears beside it. */
export function fieldOf(field: string, draft: Draft): string {
  const part = /^milestones[.[](\d+)\]?\.(title|amount)/.exec(field);
  if (part) return `milestones.${part[1]}.${part[2]}`;
  if (field === 'buyer_id' || field === 'seller_id') {
    return field === `${draft.part}_id` ? 'part' : 'other_id';
  }
  if (field.startsWith('amount')) return draft.has_milestones ? 'milestones.0.amount' : 'amount';
  if (field.startsWith('terms.payment')) return 'payment_days';
  return field.startsWith('terms') ? 'inspection_days' : field;
}

/** What is said beside a field that the server has refused, in the reader's language. */
export function refusedWords(field: string): string {
  if (field === 'title' || field.endsWith('.title')) return t('create.refused.title');
  if (field === 'description') return t('create.refused.description');
  if (field.endsWith('_id') || field === 'part') return t('create.refused.person');
  return field.endsWith('amount') ? t('create.refused.amount') : t('create.refused.other');
}

function peopleProblems(draft: Draft, userId: string): Record<string, string> {
  const problems: Record<string, string> = {};
  const [other, arbiter] = [draft.other_id.trim(), draft.arbiter_id.trim()];
  if (!other) problems.other_id = t('create.problem.other');
  else if (/\s/.test(other)) problems.other_id = t('create.problem.spaces');
  else if (other === userId) problems.other_id = t('create.problem.you');
  else if (lookAlike(other, userId)) problems.other_id = t('create.problem.likeYou');
  if (/\s/.test(arbiter)) problems.arbiter_id = t('create.problem.spaces');
  else if (arbiter && (lookAlike(arbiter, userId) || lookAlike(arbiter, other))) {
    problems.arbiter_id = t('create.problem.third');
  }
  return problems;
}

function amountProblem(text: string): string {
  const amount_minor = parseMoney(text);
  if (amount_minor === null) return t('create.problem.amount');
  return amount_minor < AMOUNT_MIN_MINOR ? t('create.problem.small') : '';
}

function money(amount_minor: number | null): { amount_minor: string; currency: string } {
  return { amount_minor: String(amount_minor ?? 0), currency: CURRENCY };
}

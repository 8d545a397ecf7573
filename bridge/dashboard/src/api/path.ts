/** The addresses of what the pages read first. A call that is made ahead has the same. */
import { questionOf, type Filter } from './filter';

export const PAGE_SIZE = 50;
const EVENTS_PAGE_SIZE = 500;

/** What is held in all, and how many escrows wait. */
export const TOTALS_PATH = '/api/v1/escrows?page_size=1&with_totals=true';

/** The page of a list that follows `after`, a page token; the first without one. */
export function listPath(filter: Filter, size = PAGE_SIZE, after = ''): string {
  const question = questionOf(filter);
  question.set('page_size', String(size));
  if (after) question.set('page_token', after);
  return `/api/v1/escrows?${question}`;
}

export function escrowPath(id: string): string {
  return `/api/v1/escrows/${encodeURIComponent(id)}`;
}

export function eventsPath(id: string, afterVersion = 0): string {
  return `${escrowPath(id)}/events?after_version=${afterVersion}&page_size=${EVENTS_PAGE_SIZE}`;
}

/** Lists of escrows, which the server filters, orders and adds up. */
import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useAuth } from '../contexts/AuthContext';
import { isAhead, shownAhead } from './ahead';
import { keys, known, newer, type EscrowPage } from './cache';
import { comparedSoon } from './compared';
import type { Filter } from './filter';
import { request } from './http';
import { listPath, PAGE_SIZE, TOTALS_PATH } from './path';
import { readEscrow, type Escrow, type WireEscrow, type WireMoney } from './wire';

/** The server looks at so many escrows at once; a rare word is looked for in this many calls. */
const CALLS_MAX = 5;

interface WireList {
  escrows?: WireEscrow[];
  next_page_token?: string;
  reached_time?: string;
  totals?: { held?: WireMoney[]; needs_me?: string; is_partial?: boolean };
}

export interface Totals {
  held: { amount_minor: number; currency: string }[];
  waiting: number;
  /** Whether there is more than the server adds up. */
  isPartial: boolean;
}

/** The escrows that pass a filter, a page at a time. A page may be short, and not be the last. */
export function useEscrows(filter: Filter) {
  const { token } = useAuth();
  const client = useQueryClient();
  return useInfiniteQuery({
    queryKey: keys.list(filter),
    initialPageParam: '',
    // Which escrows belong to a list that is not on screen is not followed.
    refetchOnMount: 'always',
    placeholderData: keepPreviousData,
    // It is fetched again by the line above, after the answer to `*`.
    initialData: () => pageAhead(filter, token),
    queryFn: async ({ pageParam, signal }): Promise<EscrowPage> => {
      if (!pageParam && !isAhead(listPath(filter), token)) await comparedSoon();
      const page = await fetchPage(filter, pageParam, PAGE_SIZE, { token, signal });
      // An event may have overtaken the answer.
      return { ...page, escrows: page.escrows.map((one) => newer(known(client, one.escrow_id), one)) };
    },
    getNextPageParam: (page) => page.next || undefined,
  });
}

/** The first page as the page's first script has fetched it, if it is there and has something to show. */
function pageAhead(filter: Filter, token: string | null) {
  const answer = shownAhead(listPath(filter), token) as WireList | undefined;
  if (!answer || (!answer.escrows && answer.next_page_token)) return undefined;
  const page: EscrowPage = {
    escrows: (answer.escrows ?? []).map(readEscrow),
    next: answer.next_page_token ?? '',
    reached: answer.reached_time ?? '',
  };
  return { pages: [page], pageParams: [''] };
}

/** Asks until there is something to show, the end, or enough has been asked. */
export async function fetchPage(
  filter: Filter,
  after: string,
  size: number,
  call: { token: string | null; signal?: AbortSignal },
): Promise<EscrowPage> {
  const escrows: Escrow[] = [];
  let next = after;
  let reached = '';
  for (let calls = 0; calls < CALLS_MAX; calls += 1) {
    const answer = await request<WireList>(listPath(filter, size - escrows.length, next), call);
    escrows.push(...(answer.escrows ?? []).map(readEscrow));
    next = answer.next_page_token ?? '';
    reached = answer.reached_time ?? reached;
    if (!next || escrows.length === size) break;
  }
  return { escrows, next, reached };
}

/** What is held for the user in all, and how many escrows wait for them. */
export function useTotals() {
  const { token } = useAuth();
  return useQuery({
    queryKey: keys.totals,
    initialData: () => {
      const answer = shownAhead(TOTALS_PATH, token) as WireList | undefined;
      return answer && readTotals(answer);
    },
    initialDataUpdatedAt: 0,
    queryFn: async ({ signal }): Promise<Totals> => {
      if (!isAhead(TOTALS_PATH, token)) await comparedSoon();
      return readTotals(await request<WireList>(TOTALS_PATH, { token, signal }));
    },
  });
}

function readTotals({ totals }: WireList): Totals {
  const held = (totals?.held ?? []).map((one) => ({
    amount_minor: Number(one.amount_minor ?? 0),
    currency: one.currency ?? 'INR',
  }));
  return { held, waiting: Number(totals?.needs_me ?? 0), isPartial: totals?.is_partial ?? false };
}

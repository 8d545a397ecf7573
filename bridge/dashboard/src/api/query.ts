/** Queries: what the pages read from the JSON API. */
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useAuth } from '../contexts/AuthContext';
import type { EventData } from '../services/websocket';
import { keys, newer, type EscrowPage } from './cache';
import { comparedSoon } from './compared';
import { Fault, request } from './http';
import { readEscrow, readEvent, type Escrow, type WireEscrow, type WireEvent } from './wire';

const PAGE_SIZE = 50;
const EVENTS_PAGE_SIZE = 500;
/** The timeline shows at most this many pages of events. */
const EVENTS_PAGES_MAX = 20;
const PAYEE_REFETCH_MS = 60_000;

export interface Config {
  demo_login: boolean;
  sandbox_url: string | null;
}

/** Where a seller is paid. */
export interface Payee {
  user_id: string;
  account_id: string;
  /** The account that counts from `pending_time` on; absent while none waits. */
  pending_account_id?: string;
  pending_time?: string;
}

export function useConfig() {
  return useQuery({
    queryKey: keys.config,
    queryFn: ({ signal }) => request<Config>('/api/v1/config', { signal }),
    staleTime: Infinity,
  });
}

/** What an escrow that is created now gets: the platform's fee in basis points of what is released. */
export function useDefaults() {
  const { token } = useAuth();
  return useQuery({
    queryKey: keys.defaults,
    queryFn: ({ signal }) => request<{ fee_bps?: number }>('/api/v1/defaults', { token, signal }),
    staleTime: Infinity,
  });
}

/** The user's escrows, newest first, a page at a time; `status` is empty for all. */
export function useEscrows(status: string) {
  const { token } = useAuth();
  return useInfiniteQuery({
    queryKey: keys.list(status),
    initialPageParam: '',
    // Which escrows belong to a list that is not on screen is not followed.
    refetchOnMount: 'always',
    queryFn: async ({ pageParam, signal }): Promise<EscrowPage> => {
      const query = new URLSearchParams({ page_size: String(PAGE_SIZE) });
      if (status) query.set('status', `ESCROW_STATUS_${status}`);
      if (pageParam) query.set('page_token', pageParam);
      else await comparedSoon();
      const answer = await request<{ escrows?: WireEscrow[]; next_page_token?: string }>(
        `/api/v1/escrows?${query}`,
        { token, signal },
      );
      return {
        escrows: (answer.escrows ?? []).map(readEscrow),
        next: answer.next_page_token ?? '',
      };
    },
    getNextPageParam: (page) => page.next || undefined,
  });
}

export function useEscrow(id: string) {
  const { token } = useAuth();
  const client = useQueryClient();
  return useQuery({
    queryKey: keys.escrow(id),
    queryFn: async ({ signal }) => {
      const path = `/api/v1/escrows/${encodeURIComponent(id)}`;
      const { escrow } = await request<{ escrow: WireEscrow }>(path, { token, signal });
      return newer(client.getQueryData<Escrow>(keys.escrow(id)), readEscrow(escrow));
    },
  });
}

/** The events of an escrow so far, oldest first. */
export function useEvents(id: string) {
  const { token } = useAuth();
  return useQuery({
    queryKey: keys.events(id),
    queryFn: async ({ signal }) => {
      const events: EventData[] = [];
      for (let page = 0; page < EVENTS_PAGES_MAX; page += 1) {
        const query = new URLSearchParams({
          after_version: String(events.at(-1)?.version ?? 0),
          page_size: String(EVENTS_PAGE_SIZE),
        });
        const answer = await request<{ events?: WireEvent[]; has_more?: boolean }>(
          `/api/v1/escrows/${encodeURIComponent(id)}/events?${query}`,
          { token, signal },
        );
        events.push(...(answer.events ?? []).map(readEvent));
        if (!answer.has_more) break;
      }
      return events;
    },
  });
}

/**
 * Where a user is paid; null if they have not said. It is asked for again now and then, because another
 * session of the same user may change it.
 */
export function usePayee(userId: string, isWanted = true) {
  const { token } = useAuth();
  return useQuery({
    queryKey: keys.payee(userId),
    enabled: isWanted,
    refetchInterval: PAYEE_REFETCH_MS,
    queryFn: async ({ signal }): Promise<Payee | null> => {
      try {
        return (await request<{ payee: Payee }>(payeePath(userId), { token, signal })).payee;
      } catch (error) {
        if (error instanceof Fault && error.status === 404) return null;
        throw error;
      }
    },
  });
}

export function payeePath(userId: string): string {
  return `/api/v1/payees/${encodeURIComponent(userId)}`;
}

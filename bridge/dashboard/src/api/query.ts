/** Queries: what the pages read from the JSON API. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useAuth } from '../contexts/AuthContext';
import { shownAhead } from './ahead';
import { keys, newer } from './cache';
import { Fault, request } from './http';
import { escrowPath, eventsPath } from './path';
import { readEscrow, readEvent, type Escrow, type WireEscrow, type RecordedEvent, type WireEvent } from './wire';

/** The timeline shows at most this many pages of events. */
const EVENTS_PAGES_MAX = 20;
const PAYEE_REFETCH_MS = 60_000;

export interface Config {
  demo_login: boolean;
  sandbox_url: string | null;
}

interface WireEvents {
  events?: WireEvent[];
  has_more?: boolean;
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

export function useEscrow(id: string) {
  const { token } = useAuth();
  const client = useQueryClient();
  return useQuery({
    queryKey: keys.escrow(id),
    initialData: () => {
      const answer = shownAhead(escrowPath(id), token) as { escrow: WireEscrow } | undefined;
      return answer && readEscrow(answer.escrow);
    },
    initialDataUpdatedAt: 0,
    queryFn: async ({ signal }) => {
      const { escrow } = await request<{ escrow: WireEscrow }>(escrowPath(id), { token, signal });
      return newer(client.getQueryData<Escrow>(keys.escrow(id)), readEscrow(escrow));
    },
  });
}

/** The events of an escrow so far, oldest first. */
export function useEvents(id: string) {
  const { token } = useAuth();
  return useQuery({
    queryKey: keys.events(id),
    initialData: () => {
      const answer = shownAhead(eventsPath(id), token) as WireEvents | undefined;
      return answer?.has_more ? undefined : answer?.events?.map(readEvent);
    },
    initialDataUpdatedAt: 0,
    queryFn: async ({ signal }) => {
      const events: RecordedEvent[] = [];
      for (let page = 0; page < EVENTS_PAGES_MAX; page += 1) {
        const answer = await request<WireEvents>(
          eventsPath(id, events.at(-1)?.version ?? 0),
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

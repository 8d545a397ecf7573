/** What the operator's room reads: calls that core answers for the roles admin and service alone. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useAuth } from '../contexts/AuthContext';
import { request } from './http';
import type { Payee } from './query';
import { bareName, readEscrow, type Escrow, type WireEscrow, type WireMoney } from './wire';

const PAGE_SIZE = 50;
/** How often the queue is read again beside the events that arrive. */
const QUEUE_EVERY_MS = 15_000;
const BOOKS_EVERY_MS = 30_000;
const DELIVERIES_EVERY_MS = 10_000;
/** Escrows that one call checks; with Razorpay each takes several calls. */
const CHECKED_AT_ONCE = 200;
const COMPARED_AT_ONCE = 20;

export const operatorKeys = {
  all: ['operator'] as const,
  queue: ['operator', 'queue'] as const,
  found: (query: string) => ['operator', 'found', query] as const,
  inspection: (id: string) => ['operator', 'inspection', id] as const,
  entries: (id: string) => ['operator', 'entries', id] as const,
  payees: (waiting: boolean) => ['operator', 'payees', waiting] as const,
  check: ['operator', 'check'] as const,
  balance: (account: string) => ['operator', 'balance', account] as const,
  endpoints: ['operator', 'endpoints'] as const,
  deliveries: (id: string, state: string) => ['operator', 'deliveries', id, state] as const,
};

interface Page<T> {
  items: T[];
  next: string;
}

interface Listed {
  path: string;
  key: readonly unknown[];
  everyMs?: number;
  isWanted?: boolean;
}

/** A list in pages, whatever it is of. */
function usePages<T>({ path, key, everyMs, isWanted = true }: Listed, read: (answer: never) => T[]) {
  const { token } = useAuth();
  return useInfiniteQuery({
    queryKey: key,
    enabled: isWanted,
    initialPageParam: '',
    refetchInterval: everyMs,
    refetchOnMount: 'always',
    queryFn: async ({ pageParam, signal }): Promise<Page<T>> => {
      const page = pageParam ? `&page_token=${encodeURIComponent(pageParam)}` : '';
      const answer = await request<{ next_page_token?: string }>(
        `${path}${path.includes('?') ? '&' : '?'}page_size=${PAGE_SIZE}${page}`,
        { token, signal },
      );
      return { items: read(answer as never), next: answer.next_page_token ?? '' };
    },
    getNextPageParam: (page) => page.next || undefined,
  });
}

const escrowsOf = (answer: { escrows?: WireEscrow[] }) => (answer.escrows ?? []).map(readEscrow);

/** The escrows at which a person has to look. */
export function useQueue() {
  return usePages<Escrow>(
    { path: '/api/v1/escrows?attention=true', key: operatorKeys.queue, everyMs: QUEUE_EVERY_MS },
    escrowsOf,
  );
}

/** Escrows by any id, or by words of theirs. */
export function useFound(query: string) {
  const path = `/api/v1/escrows?query=${encodeURIComponent(query)}`;
  return usePages<Escrow>({ path, key: operatorKeys.found(query), isWanted: query !== '' }, escrowsOf);
}

export interface Inspected {
  kind: string;
  id: string;
  parent: string;
  status: string;
  /** Minor units; null where that side has none of it. */
  found_minor: number | null;
  recorded_minor: number | null;
  currency: string;
  verdict: 'AGREES' | 'DIFFERS' | 'NOT_SEEN' | 'NOT_RECORDED';
  message: string;
  on_hold: boolean;
  account_id: string;
}

interface WireInspected {
  kind?: string;
  entity_id?: string;
  parent_id?: string;
  status?: string;
  found?: WireMoney | null;
  recorded?: WireMoney | null;
  verdict?: string;
  message?: string;
  on_hold?: boolean;
  account_id?: string;
}

export interface Inspection {
  entities: Inspected[];
  time: string;
  isSettling: boolean;
}

/** What Razorpay has of an escrow, beside the record. It is asked when it is wanted, not by itself. */
export function useInspection(id: string) {
  const { token } = useAuth();
  return useQuery({
    queryKey: operatorKeys.inspection(id),
    retry: false,
    refetchInterval: false,
    queryFn: async ({ signal }): Promise<Inspection> => {
      const path = `/api/v1/escrows/${encodeURIComponent(id)}/inspection`;
      const answer = await request<{
        entities?: WireInspected[];
        inspect_time?: string;
        is_settling?: boolean;
      }>(path, { token, signal });
      return {
        entities: (answer.entities ?? []).map(readInspected),
        time: answer.inspect_time ?? '',
        isSettling: answer.is_settling ?? false,
      };
    },
  });
}

function readInspected(wire: WireInspected): Inspected {
  return {
    kind: bareName(wire.kind, 'ENTITY_KIND_'),
    id: wire.entity_id ?? '',
    parent: wire.parent_id ?? '',
    status: wire.status ?? '',
    found_minor: minorOf(wire.found),
    recorded_minor: minorOf(wire.recorded),
    currency: (wire.found ?? wire.recorded)?.currency ?? 'INR',
    verdict: bareName(wire.verdict, 'ENTITY_VERDICT_') as Inspected['verdict'],
    message: wire.message ?? '',
    on_hold: wire.on_hold ?? false,
    account_id: wire.account_id ?? '',
  };
}

function minorOf(money: WireMoney | null | undefined): number | null {
  return money ? Number(money.amount_minor ?? 0) : null;
}

export interface Entry {
  version: number;
  position: number;
  account: string;
  amount_minor: number;
  currency: string;
  time: string;
  entity_id: string;
}

interface WireEntry {
  version?: string;
  position?: number;
  account?: string;
  amount?: WireMoney;
  create_time?: string;
  entity_id?: string;
}

/** The lines of an escrow in the ledger, oldest first. */
export function useEntries(id: string) {
  return usePages<Entry>(
    { path: `/api/v1/ledger/entries?escrow_id=${encodeURIComponent(id)}`, key: operatorKeys.entries(id) },
    (answer: { entries?: WireEntry[] }) =>
      (answer.entries ?? []).map((one) => ({
        version: Number(one.version ?? 0),
        position: one.position ?? 0,
        account: one.account ?? '',
        amount_minor: minorOf(one.amount) ?? 0,
        currency: one.amount?.currency ?? 'INR',
        time: one.create_time ?? '',
        entity_id: one.entity_id ?? '',
      })),
  );
}

export function usePayees(waiting: boolean) {
  return usePages<Payee & { effective_time?: string }>(
    { path: `/api/v1/payees?waiting=${waiting}`, key: operatorKeys.payees(waiting) },
    (answer: { payees?: Payee[] }) => answer.payees ?? [],
  );
}

export interface Finding {
  escrow_id?: string;
  check?: string;
  message?: string;
}

export interface LastCheck {
  check_time?: string;
  escrows_checked?: string;
  findings?: Finding[];
  recon_time?: string;
  recon_day?: string;
  recon_lines?: string;
  recon_findings?: Finding[];
  walk_begin_time?: string;
  walk_checked?: string;
  walk_total?: string;
  whole_end_time?: string;
}

/** What the servers' own checks have found. */
export function useLastCheck() {
  const { token } = useAuth();
  return useQuery({
    queryKey: operatorKeys.check,
    refetchInterval: BOOKS_EVERY_MS,
    queryFn: ({ signal }) => request<LastCheck>('/api/v1/ledger/lastCheck', { token, signal }),
  });
}

/** What an account stands at, a sum for each currency; positive is debit. */
export function useBalance(account: string) {
  const { token } = useAuth();
  return useQuery({
    queryKey: operatorKeys.balance(account),
    refetchInterval: BOOKS_EVERY_MS,
    queryFn: async ({ signal }) => {
      const path = `/api/v1/ledger/balance?account=${encodeURIComponent(account)}`;
      const answer = await request<{ balances?: WireMoney[] }>(path, { token, signal });
      return (answer.balances ?? []).map((one) => ({
        amount_minor: Number(one.amount_minor ?? 0),
        currency: one.currency ?? 'INR',
      }));
    },
  });
}

export interface Checked {
  escrows: number;
  findings: Finding[];
}

interface CheckBooks {
  token: string | null;
  withRazorpay: boolean;
  signal: AbortSignal;
  onProgress: (sofar: Checked) => void;
}

/** Checks the books page by page, until the end or until it is called off. */
export async function checkBooks({ token, withRazorpay, signal, onProgress }: CheckBooks): Promise<Checked> {
  let sofar: Checked = { escrows: 0, findings: [] };
  let page_token = '';
  do {
    const body = {
      with_razorpay: withRazorpay,
      page_size: withRazorpay ? COMPARED_AT_ONCE : CHECKED_AT_ONCE,
      page_token,
    };
    const answer = await request<{
      escrows_checked?: string;
      findings?: Finding[];
      next_page_token?: string;
    }>('/api/v1/ledger:check', { method: 'POST', body, token, signal });
    sofar = {
      escrows: sofar.escrows + Number(answer.escrows_checked ?? 0),
      findings: [...sofar.findings, ...(answer.findings ?? [])],
    };
    onProgress(sofar);
    page_token = answer.next_page_token ?? '';
  } while (page_token);
  return sofar;
}

export interface Endpoint {
  endpoint_id: string;
  url: string;
  types?: string[];
  description?: string;
  unordered?: boolean;
  disabled?: boolean;
  disabled_reason?: string;
  failing_since?: string;
  last_success_time?: string;
  pending?: string;
}

export function useEndpoints() {
  const { token } = useAuth();
  return useQuery({
    queryKey: operatorKeys.endpoints,
    refetchInterval: DELIVERIES_EVERY_MS,
    queryFn: async ({ signal }) => {
      const path = '/api/v1/webhooks/endpoints';
      return (await request<{ endpoints?: Endpoint[] }>(path, { token, signal })).endpoints ?? [];
    },
  });
}

export interface Delivery {
  delivery_id: string;
  escrow_id?: string;
  version?: string;
  type?: string;
  state?: string;
  attempts?: number;
  next_time?: string;
  last_time?: string;
  last_status?: number;
  last_problem?: string;
  create_time?: string;
}

/** What was and is to be sent to an endpoint, newest first; `state` is empty for all. */
export function useDeliveries(endpointId: string, state: string) {
  const filter = state ? `?state=DELIVERY_STATE_${state}` : '';
  return usePages<Delivery>(
    {
      path: `/api/v1/webhooks/endpoints/${endpointId}/deliveries${filter}`,
      key: operatorKeys.deliveries(endpointId, state),
      everyMs: DELIVERIES_EVERY_MS,
    },
    (answer: { deliveries?: Delivery[] }) => answer.deliveries ?? [],
  );
}

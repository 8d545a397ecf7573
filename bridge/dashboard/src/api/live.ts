/** Updates what the pages show from the events of the socket. */
import { useQueryClient, type QueryKey } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useAuth } from '../contexts/AuthContext';
import { turnOf } from '../escrow/action';
import { EVERYTHING, type EventData } from '../services/websocket';
import { useEscrowUpdates, useWebSocket, type EscrowMessage } from '../hooks/useWebSocket';
import { applyEscrow, keys } from './cache';
import { useEvents } from './query';
import type { Escrow, RecordedEvent } from './wire';

/** Changes come in bursts: what is shown is fetched once for all of them that come within this time. */
const REFETCH_DELAY_MS = 150;
/** An admin is told of all escrows: nothing is fetched again more often than this. */
const REFETCH_EVERY_MS = 1_000;
/** And a fetch of many pages, or from a slow server, is at most this part of the time. */
const REFETCH_SHARE = 1 / 4;

/** Subscribes to all escrows of the user while the component is mounted. */
export function useLiveEscrows(): void {
  const client = useQueryClient();
  const { user } = useAuth();
  const fetchListsSoon = useFetchSoon(keys.lists);
  const fetchTotalsSoon = useFetchSoon(keys.totals);
  useEscrowUpdates(EVERYTHING, (message) => {
    if (message.type === 'subscribed' && message.escrow_id === EVERYTHING) {
      // Without a position there are snapshots of open escrows only. Others may have ended meanwhile.
      if (!message.is_resumed) {
        void client.invalidateQueries({ queryKey: keys.lists });
        void client.invalidateQueries({ queryKey: keys.totals });
      }
      return;
    }
    const escrow = escrowIn(message);
    if (!escrow || !user) return;
    const effect = applyEscrow(client, escrow, (one) => turnOf(one, user) !== '');
    // The snapshots of a new connection are followed by its answer, after which all is fetched once.
    if (message.type === 'subscribed') return;
    if (effect.movesLists) fetchListsSoon();
    if (effect.movesTotals) fetchTotalsSoon();
  });
}

function useFetchSoon(queryKey: QueryKey): () => void {
  const client = useQueryClient();
  const pace = useRef({ isFetching: false, isWanted: false, nextAt: 0 });
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
  return function ask() {
    const { current } = pace;
    // One that comes while it is fetched is fetched for after it.
    current.isWanted = true;
    if (current.isFetching) return;
    const fetch = async () => {
      timer.current = undefined;
      Object.assign(current, { isFetching: true, isWanted: false });
      const began = performance.now();
      await client.invalidateQueries({ queryKey });
      const took_ms = performance.now() - began;
      current.nextAt = began + Math.max(REFETCH_EVERY_MS, took_ms / REFETCH_SHARE);
      current.isFetching = false;
      if (current.isWanted) ask();
    };
    const rest_ms = Math.max(REFETCH_DELAY_MS, current.nextAt - performance.now());
    timer.current ??= setTimeout(() => void fetch(), rest_ms);
  };
}

/**
 * Fetches again what has failed, as soon as events arrive again: a page that was opened while the
 * server was away heals by itself.
 */
export function useHealing(): void {
  const client = useQueryClient();
  const { isLive } = useWebSocket();
  useEffect(() => {
    if (!isLive) return;
    void client.refetchQueries({
      // Those that would try again by themselves need not wait for it.
      predicate: ({ state }) => state.status === 'error' || state.fetchFailureCount > 0,
    });
  }, [client, isLive]);
}

/**
 * Subscribes to one escrow and answers its events, oldest first, each version once. Keeps the events
 * that arrive while the history is being fetched, and fetches it again if a version is missing.
 */
export function useTimeline(escrowId: string) {
  const client = useQueryClient();
  const history = useEvents(escrowId);
  const [live, setLive] = useState<EventData[]>([]);
  useEscrowUpdates(escrowId, (message) => {
    const escrow = escrowIn(message);
    // Events are applied for all escrows, above; a snapshot that is known already comes here alone.
    if (escrow && message.type === 'subscribed') applyEscrow(client, escrow, () => false);
    if (message.type === 'escrow_update') setLive((before) => [...before, message.data]);
  });
  const events = useMemo(() => mergeByVersion(live, history.data ?? []), [history.data, live]);
  const { refetch, isFetching, isSuccess } = history;
  const hasHole = isSuccess && events.length > 0 && events.at(-1)?.version !== events.length;
  const askedAt = useRef(0);
  useEffect(() => {
    if (!hasHole || isFetching || askedAt.current === events.length) return;
    askedAt.current = events.length;
    void refetch();
  }, [hasHole, isFetching, refetch, events.length]);
  useRefetchOnReturn(escrowId);
  return { events, error: history.error, isPending: history.isPending, refetch };
}

/** Fetches the escrow again after a reconnect, because it may have changed more than the events tell. */
function useRefetchOnReturn(escrowId: string): void {
  const client = useQueryClient();
  const { on } = useWebSocket();
  useEffect(
    () =>
      on('connected', () => {
        void client.invalidateQueries({ queryKey: keys.escrow(escrowId) });
        void client.invalidateQueries({ queryKey: keys.events(escrowId) });
      }),
    [client, on, escrowId],
  );
}

/** Each version once, in order; of two the one in the later source, which may have its hash. */
export function mergeByVersion(...sources: RecordedEvent[][]): RecordedEvent[] {
  const byVersion = new Map(sources.flat().map((event) => [event.version, event]));
  return [...byVersion.values()].sort((a, b) => a.version - b.version);
}

function escrowIn(message: EscrowMessage): Escrow | null {
  const isEscrow = message.type === 'escrow_update' || message.type === 'subscribed';
  return isEscrow && message.data ? message.data : null;
}

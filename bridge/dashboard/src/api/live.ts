/** Updates what the pages show from the events of the socket. */
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { EVERYTHING, type EventData } from '../services/websocket';
import { useEscrowUpdates, useWebSocket, type EscrowMessage } from '../hooks/useWebSocket';
import { applyEscrow, keys } from './cache';
import { useEvents } from './query';
import type { Escrow } from './wire';

/** New escrows come in bursts: the list is fetched once for all of them that come within this time. */
const REFETCH_DELAY_MS = 150;
/** An admin is told of all escrows: the list is not fetched again more often than this. */
const REFETCH_EVERY_MS = 1_000;

/** Subscribes to all escrows of the user while the component is mounted. */
export function useLiveEscrows(): void {
  const client = useQueryClient();
  const fetchSoon = useFetchListsSoon();
  useEscrowUpdates(EVERYTHING, (message) => {
    if (message.type === 'subscribed' && message.escrow_id === EVERYTHING) {
      // Without a position there are snapshots of open escrows only. Others may have ended meanwhile.
      if (!message.is_resumed) void client.invalidateQueries({ queryKey: keys.lists });
      return;
    }
    const escrow = escrowIn(message);
    if (escrow && applyEscrow(client, escrow)) fetchSoon();
  });
}

function useFetchListsSoon(): () => void {
  const client = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const fetchedAt = useRef(-REFETCH_EVERY_MS);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
  return () => {
    const rest_ms = fetchedAt.current + REFETCH_EVERY_MS - performance.now();
    timer.current ??= setTimeout(
      () => {
        timer.current = undefined;
        fetchedAt.current = performance.now();
        void client.invalidateQueries({ queryKey: keys.lists });
      },
      Math.max(REFETCH_DELAY_MS, rest_ms),
    );
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
    if (escrow) applyEscrow(client, escrow);
    if (message.type === 'escrow_update') setLive((before) => [...before, message.data]);
  });
  const events = useMemo(() => mergeByVersion(history.data ?? [], live), [history.data, live]);
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

export function mergeByVersion(...sources: EventData[][]): EventData[] {
  const byVersion = new Map(sources.flat().map((event) => [event.version, event]));
  return [...byVersion.values()].sort((a, b) => a.version - b.version);
}

function escrowIn(message: EscrowMessage): Escrow | null {
  const isEscrow = message.type === 'escrow_update' || message.type === 'subscribed';
  return isEscrow && message.data ? message.data : null;
}

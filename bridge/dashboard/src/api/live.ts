/** Keeps what the pages show in step with the events. */
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { EVERYTHING, type EventData } from '../services/websocket';
import { useEscrowUpdates, useWebSocket, type EscrowMessage } from '../hooks/useWebSocket';
import { applyEscrow, keys } from './cache';
import { useEvents } from './query';
import { fromFrame, type Escrow } from './wire';

/** Escrows that are new come in bursts; the list is asked once for those of this long. */
const REFETCH_DELAY_MS = 150;

/** Follows everything of the user's, for as long as the component is there. */
export function useLiveEscrows(): void {
  const client = useQueryClient();
  const refetch = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(refetch.current), []);
  useEscrowUpdates(EVERYTHING, (message) => {
    const escrow = escrowIn(message);
    if (!escrow || applyEscrow(client, escrow)) return;
    clearTimeout(refetch.current);
    refetch.current = setTimeout(() => {
      void client.invalidateQueries({ queryKey: keys.lists });
    }, REFETCH_DELAY_MS);
  });
}

/**
 * Follows one escrow and answers its record, oldest first, every version once. What comes in before
 * the history has been read is kept; a hole between the two makes the history be read again.
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

/** After a loss the escrow is read again: its snapshot may say more than the events that follow. */
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
  return isEscrow && message.data ? fromFrame(message.data) : null;
}

/** The live connection as React hooks. */
import { useEffect, useLayoutEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import {
  EVERYTHING,
  wsService,
  type ConnectionStatus,
  type ErrorFrame,
  type EventFrame,
  type SubscribedFrame,
  type WebSocketService,
} from '../services/websocket.js';

/** A message about one escrow: its snapshot, an event, or the reason why it cannot be watched. */
export type EscrowMessage = EventFrame | SubscribedFrame | (ErrorFrame & { escrow_id: string });

const ESCROW_TYPES = [
  'subscribed',
  'payment_status',
  'status_change',
  'escrow_update',
  'error',
] as const;

export interface WebSocketHook extends Pick<
  WebSocketService,
  'subscribe' | 'unsubscribe' | 'on' | 'ping' | 'reconnect'
> {
  status: ConnectionStatus;
  /** Whether what is shown is what there is. False also while connected to a server that catches up. */
  isLive: boolean;
}

/** Answers the service's functions, which never change, and its state; a new state renders again. */
export function useWebSocket(): WebSocketHook {
  const status = useSyncExternalStore(
    wsService.onStatus,
    () => wsService.status,
    () => 'disconnected' as const,
  );
  const isLive = useSyncExternalStore(
    wsService.onStatus,
    () => wsService.isLive,
    () => false,
  );
  return useMemo(() => {
    const { subscribe, unsubscribe, on, ping, reconnect } = wsService;
    return { subscribe, unsubscribe, on, ping, reconnect, status, isLive };
  }, [status, isLive]);
}

/**
 * Whether a subscription has been compared since the connection came back: what is shown of it is what
 * there is. It does not subscribe.
 */
export function useCompared(escrowId: string): boolean {
  return useSyncExternalStore(
    wsService.onStatus,
    () => wsService.isCompared(escrowId),
    () => false,
  );
}

/**
 * Subscribes to an escrow while the component is mounted. `*` subscribes to all escrows of the user;
 * null or undefined to none. The handler is called for each message, synchronously and in order. It
 * may change between renders: the newest one is called. Components share one subscription per escrow;
 * one that comes later gets the last known snapshot at once.
 */
export function useEscrowUpdates(
  escrowId: string | null | undefined,
  handler: (message: EscrowMessage) => void,
): void {
  const latest = useRef(handler);
  useLayoutEffect(() => {
    latest.current = handler;
  });
  useEffect(() => {
    if (!escrowId) return undefined;
    const concerns = (id: string | undefined) => id !== undefined && matches(escrowId, id);
    const undos = ESCROW_TYPES.map((type) =>
      wsService.on(type, (message) => {
        if (concerns(message.escrow_id)) latest.current(message as EscrowMessage);
      }),
    );
    const known = wsService.known(escrowId);
    undos.push(wsService.subscribe(escrowId));
    for (const snapshot of known) latest.current(snapshot);
    return () => undos.forEach((undo) => undo());
  }, [escrowId]);
}

function matches(watched: string, escrowId: string): boolean {
  return watched === EVERYTHING || watched === escrowId;
}

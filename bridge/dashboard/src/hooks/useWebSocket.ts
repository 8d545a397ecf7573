/** The live connection for components. */
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

/** What concerns one escrow: its snapshot, its events, and why it cannot be watched. */
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
}

/** The service's functions, which never change, and its status, which renders anew when it does. */
export function useWebSocket(): WebSocketHook {
  const status = useSyncExternalStore(
    wsService.onStatus,
    () => wsService.status,
    () => 'disconnected' as const,
  );
  return useMemo(() => {
    const { subscribe, unsubscribe, on, ping, reconnect } = wsService;
    return { subscribe, unsubscribe, on, ping, reconnect, status };
  }, [status]);
}

/**
 * Watches an escrow while the component is there; `*` watches everything of the user's, and
 * null or undefined nothing. The handler is called for each message, at once and in order; it need
 * not be stable: the newest is called. Components on the same escrow share one subscription.
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
    undos.push(wsService.subscribe(escrowId));
    return () => undos.forEach((undo) => undo());
  }, [escrowId]);
}

function matches(watched: string, escrowId: string): boolean {
  return watched === EVERYTHING || watched === escrowId;
}

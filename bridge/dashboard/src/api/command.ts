/** What changes something. The outcome is not guessed: the pages wait for the event. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRef } from 'react';
import { useAuth } from '../contexts/AuthContext';
import { useWebSocket } from '../hooks/useWebSocket';
import { keys } from './cache';
import { request, type Call } from './http';

export interface Command {
  path: string;
  method?: Call['method'];
  body: Record<string, unknown>;
  /** Given where the occasion has a name of its own; by default a fresh one for each new body. */
  key?: string;
}

/**
 * Sends commands. The same command sent again after a failure carries the same Idempotency-Key,
 * so that an answer that was lost on the way does not make it happen twice.
 */
export function useCommand<T = unknown>() {
  const { token } = useAuth();
  const { status } = useWebSocket();
  const client = useQueryClient();
  const attempt = useRef({ command: '', key: '' });
  return useMutation<T, Error, Command>({
    mutationFn: ({ path, method = 'POST', body, key }) => {
      const command = JSON.stringify([path, body]);
      if (attempt.current.command !== command) {
        attempt.current = { command, key: randomKey() };
      }
      return request<T>(path, {
        method,
        body,
        token,
        idempotencyKey: key ?? attempt.current.key,
      });
    },
    onSuccess: () => {
      attempt.current = { command: '', key: '' };
      if (status === 'connected') return;
      for (const queryKey of [keys.lists, ['escrow'], ['events']]) {
        void client.invalidateQueries({ queryKey });
      }
    },
  });
}

/** The address of a command on an escrow. */
export function commandPath(escrowId: string, verb: string): string {
  return `/api/v1/escrows/${encodeURIComponent(escrowId)}:${verb}`;
}

/** `crypto.randomUUID` exists on secure pages only; this does on all. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Commands: calls that change something. The pages do not guess the outcome; they wait for the event. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRef } from 'react';
import { useAuth } from '../contexts/AuthContext';
import { deedWords } from '../feedback/deed';
import { toast } from '../feedback/toast';
import { useWebSocket } from '../hooks/useWebSocket';
import { keys } from './cache';
import { request, type Call } from './http';

export interface Command {
  path: string;
  method?: Call['method'];
  body: Record<string, unknown>;
  /** The Idempotency-Key. By default a new one for each new path and body. */
  key?: string;
}

/**
 * Sends commands. After a failure the same command is sent again with the same Idempotency-Key, so
 * that it happens once even if only the answer was lost.
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
    onSuccess: (answer, command) => {
      const words = deedWords(command, answer);
      if (words) toast(words);
      attempt.current = { command: '', key: '' };
      if (status === 'connected') return;
      for (const queryKey of [keys.lists, keys.totals, ['escrow'], ['events']]) {
        void client.invalidateQueries({ queryKey });
      }
    },
  });
}

/** The address of a command on an escrow. */
export function commandPath(escrowId: string, verb: string): string {
  return `/api/v1/escrows/${encodeURIComponent(escrowId)}:${verb}`;
}

/** Unlike `crypto.randomUUID`, this also works on a page without HTTPS. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

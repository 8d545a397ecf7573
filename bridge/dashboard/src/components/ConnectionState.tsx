import { Button, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useWebSocket } from '../hooks/useWebSocket';
import type { ConnectionStatus, ReconnectingMessage } from '../services/websocket';
import classes from './ConnectionState.module.css';
import { CATCHING_UP_MS, useLasting } from './useStale';

const WORDS: Record<ConnectionStatus, string> = {
  connected: 'Live',
  connecting: 'Connecting',
  reconnecting: 'Reconnecting',
  disconnected: 'Offline',
};

/** The state of the connection in one word, in the head of every page. */
export function ConnectionState() {
  const { status, isLive } = useWebSocket();
  const isWaiting = status === 'connected' && !isLive;
  return (
    <span
      className={classes.state}
      data-status={isWaiting ? 'waiting' : status}
      role="status"
      aria-label="Connection"
    >
      <span className={classes.dot} aria-hidden />
      {isWaiting ? 'Catching up' : WORDS[status]}
    </span>
  );
}

/** Says that the page may be out of date, and what is done about it. Absent while events arrive. */
export function ConnectionBanner() {
  const { status, isLive, reconnect, on } = useWebSocket();
  const [plan, setPlan] = useState('Reconnecting…');
  useEffect(() => on('reconnecting', (message) => setPlan(wordsOf(message))), [on]);
  const isLate = useLasting(status === 'connected' && !isLive, CATCHING_UP_MS);
  if (isLive || status === 'connecting') return null;
  if (status === 'connected') {
    return !isLate ? null : (
      <div className={classes.banner}>
        <Text size="sm" role="status">
          New changes do not arrive at the moment. What you see may be out of date. This page catches
          up by itself.
        </Text>
      </div>
    );
  }
  const isTrying = status === 'reconnecting';
  return (
    <div className={classes.banner} data-status={status}>
      <Text size="sm" role="status">
        {isTrying
          ? `The connection is lost. What you see may be out of date. ${plan}`
          : 'You are offline. What you see may be out of date.'}
      </Text>
      <Button size="compact-sm" variant="default" onClick={reconnect}>
        Try now
      </Button>
    </div>
  );
}

function wordsOf(plan: ReconnectingMessage): string {
  if (plan.is_slow) return 'This page keeps trying, but less often.';
  return `Reconnecting… Attempt ${plan.attempt} of ${plan.max_attempts}.`;
}

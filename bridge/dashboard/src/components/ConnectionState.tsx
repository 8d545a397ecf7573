import { Button, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useWebSocket } from '../hooks/useWebSocket';
import type { ReconnectingMessage } from '../services/websocket';
import { t as say } from '../words';
import classes from './ConnectionState.module.css';
import { CATCHING_UP_MS, useLasting } from './useStale';

/** The state of the connection in one word, in the head of every page. */
export function ConnectionState() {
  const { t } = useTranslation();
  const { status, isLive } = useWebSocket();
  const isWaiting = status === 'connected' && !isLive;
  return (
    <span
      className={classes.state}
      data-status={isWaiting ? 'waiting' : status}
      role="status"
      aria-label={t('frame.connection.name')}
    >
      <span className={classes.dot} aria-hidden />
      {t(`frame.connection.${isWaiting ? 'waiting' : status}`)}
    </span>
  );
}

/** Says that the page may be out of date, and what is done about it. Absent while events arrive. */
export function ConnectionBanner() {
  const { t } = useTranslation();
  const { status, isLive, reconnect, on } = useWebSocket();
  const [plan, setPlan] = useState<ReconnectingMessage | null>(null);
  useEffect(() => on('reconnecting', setPlan), [on]);
  const isLate = useLasting(status === 'connected' && !isLive, CATCHING_UP_MS);
  if (isLive || status === 'connecting') return null;
  if (status === 'connected') {
    return !isLate ? null : (
      <div className={classes.banner}>
        <Text size="sm" role="status">
          {t('frame.connection.late')}
        </Text>
      </div>
    );
  }
  const isTrying = status === 'reconnecting';
  return (
    <div className={classes.banner} data-status={status}>
      <Text size="sm" role="status">
        {isTrying
          ? `${t('frame.connection.lost')} ${planWords(plan)}`
          : t('frame.connection.offline')}
      </Text>
      <Button size="compact-sm" variant="default" onClick={reconnect}>
        {t('frame.connection.now')}
      </Button>
    </div>
  );
}

function planWords(plan: ReconnectingMessage | null): string {
  if (!plan) return say('frame.connection.trying');
  if (plan.is_slow) return say('frame.connection.slow');
  return say('frame.connection.attempt', { attempt: plan.attempt, max: plan.max_attempts });
}

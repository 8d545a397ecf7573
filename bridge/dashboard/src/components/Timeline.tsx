import { Text, VisuallyHidden } from '@mantine/core';
import type { EventData } from '../services/websocket';
import { clockTime } from '../escrow/time';
import { actorWords, eventDetail, eventWords, STATUS_WORDS } from '../escrow/word';
import { Ago } from './Ago';
import classes from './Timeline.module.css';

const ALARMING = new Set([
  'dispute_raised',
  'payment_failed',
  'settlement_failed',
  'attention_raised',
  'escrow_cancelled',
]);
const DECISIVE = new Set(['payment_captured', 'settlement_completed', 'payment_refunded']);

/** The events of an escrow, newest first. A screen reader reads out each new one. */
export function Timeline({ events }: { events: EventData[] }) {
  const newest = events.at(-1);
  const shown = events.toReversed();
  return (
    <>
      <VisuallyHidden role="status">{newest ? eventWords(newest) : ''}</VisuallyHidden>
      <ol className={classes.list} reversed>
        {shown.map((event, index) => (
          <Entry key={event.version} event={event} before={shown[index + 1]} />
        ))}
      </ol>
    </>
  );
}

function Entry({ event, before }: { event: EventData; before: EventData | undefined }) {
  const detail = eventDetail(event);
  const hasMoved = before !== undefined && before.status !== event.status;
  return (
    <li className={classes.entry} data-version={event.version} data-tone={toneOf(event)}>
      <span className={classes.mark} aria-hidden />
      <div className={classes.body}>
        <div className={classes.head}>
          <Text component="span" fw={560} size="sm">
            {eventWords(event)}
          </Text>
          {event.time && (
            <time dateTime={event.time} title={clockTime(event.time)} className={classes.time}>
              <Ago time={event.time} />
            </time>
          )}
        </div>
        <Text size="sm" c="dimmed">
          {event.actor_id && <>by {actorWords(event.actor_id)}</>}
          {hasMoved && <> · now {STATUS_WORDS[event.status].toLowerCase()}</>}
          <span className={classes.version}> · no. {event.version}</span>
        </Text>
        {detail && (
          <Text size="sm" mt={2} className={classes.detail}>
            {detail}
          </Text>
        )}
      </div>
    </li>
  );
}

function toneOf(event: EventData): string {
  if (ALARMING.has(event.event_type)) return 'alarm';
  return DECISIVE.has(event.event_type) ? 'good' : 'plain';
}

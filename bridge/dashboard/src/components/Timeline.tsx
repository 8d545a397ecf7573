import { Button, Code, Text, VisuallyHidden } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { useTranslation } from 'react-i18next';
import type { RecordedEvent } from '../api/wire';
import { called } from '../escrow/person';
import { clockTime } from '../escrow/time';
import { actorWords, eventDetail, eventWords, statusWords } from '../escrow/word';
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
/** What the machinery does between two steps of people. It stands in the technical record alone. */
const TECHNICAL = new Set([
  'payment_started',
  'payment_authorized',
  'funds_held',
  'settlement_started',
  'settlement_failed',
  'attention_raised',
]);

/**
 * What has happened, newest first, and with one click the whole record: every event with its number,
 * type and hash. A screen reader reads out each new one.
 */
export function Timeline({ events }: { events: RecordedEvent[] }) {
  const { t } = useTranslation();
  const [isTechnical, setTechnical] = useLocalStorage({
    key: 'holdfast.record',
    defaultValue: false,
    getInitialValueInEffect: false,
  });
  const newest = events.at(-1);
  const shown = events.toReversed();
  return (
    <>
      <VisuallyHidden role="status">{newest ? eventWords(newest) : ''}</VisuallyHidden>
      <ol className={classes.list} reversed>
        {shown.map((event, index) =>
          isTechnical || !TECHNICAL.has(event.event_type) ? (
            <Entry
              key={event.version}
              event={event}
              before={shown[index + 1]}
              isTechnical={isTechnical}
            />
          ) : null,
        )}
      </ol>
      {isTechnical && (
        <Text size="sm" c="dimmed" mb="sm">
          {t('event.record.about')}
        </Text>
      )}
      <Button
        variant="subtle"
        size="compact-sm"
        aria-expanded={isTechnical}
        onClick={() => setTechnical(!isTechnical)}
      >
        {t(isTechnical ? 'event.record.hide' : 'event.record.show')}
      </Button>
    </>
  );
}

interface EntryProps {
  event: RecordedEvent;
  before: RecordedEvent | undefined;
  isTechnical: boolean;
}

function Entry({ event, before, isTechnical }: EntryProps) {
  const { t } = useTranslation();
  const detail = eventDetail(event);
  const actorId = event.actor_id ?? '';
  const isNamed = called(actorId) !== actorId;
  const hasMoved = before !== undefined && before.status !== event.status;
  const about = [
    actorId && t('event.by', { who: actorWords(actorId) }),
    hasMoved && t('event.nowIs', { status: statusWords(event.status) }),
  ];
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
        <Text size="sm" c="dimmed" title={isNamed ? actorId : undefined}>
          {about.filter(Boolean).join(' · ')}
        </Text>
        {detail && (
          <Text size="sm" mt={2} className={classes.detail}>
            {detail}
          </Text>
        )}
        {isTechnical && <Technical event={event} />}
      </div>
    </li>
  );
}

/** The number, the type, the time to the second and the hash. */
function Technical({ event }: { event: RecordedEvent }) {
  const { t } = useTranslation();
  return (
    <div className={classes.technical} data-technical>
      <span>{t('event.number', { version: event.version })}</span>
      <Code>{event.event_type}</Code>
      {event.time && <span>{clockTime(event.time)}</span>}
      {event.hash && (
        <span className={classes.hash}>
          {t('event.record.hash')} <Code>{event.hash}</Code>
        </span>
      )}
    </div>
  );
}

function toneOf(event: RecordedEvent): string {
  if (ALARMING.has(event.event_type)) return 'alarm';
  return DECISIVE.has(event.event_type) ? 'good' : 'plain';
}

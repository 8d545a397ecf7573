import { IconCheck } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import type { Escrow } from '../api/wire';
import { courseOf, pathOf } from '../escrow/path';
import { dayOf, moment } from '../escrow/time';
import type { EventData } from '../services/websocket';
import classes from './StatePath.module.css';

interface Props {
  escrow: Escrow;
  /** The events so far, which have the times. */
  events: EventData[];
}

/** The five steps from the agreement to the end, drawn on a line, with what is now and what comes next. */
export function StatePath({ escrow, events }: Props) {
  const { t } = useTranslation();
  return (
    <div>
    <ol className={classes.path} aria-label={t('escrow.path.name')}>
      {pathOf(escrow, events).map((step) => (
        <li
          key={step.key}
          className={classes.step}
          data-state={step.state}
          data-tone={step.tone}
          aria-current={step.state === 'current' ? 'step' : undefined}
        >
          <span className={classes.node} aria-hidden>
            {(step.state === 'done' || step.tone === 'ended') && <IconCheck size={13} stroke={3} />}
          </span>
          <span className={classes.label}>
            {step.label}
            <span className={classes.said}>, {t(`escrow.path.${step.state}`)}</span>
          </span>
          {step.time && (
            <time dateTime={step.time} title={moment(step.time)} className={classes.time}>
              {dayOf(step.time)}
            </time>
          )}
        </li>
      ))}
    </ol>
    {courseOf(escrow).map((words) => (
      <p key={words} className={classes.course}>{words}</p>
    ))}
    </div>
  );
}

import { IconCheck } from '@tabler/icons-react';
import { pathOf } from '../escrow/path';
import type { Escrow } from '../api/wire';
import classes from './StatePath.module.css';

const SAID = { done: 'done', current: 'now', ahead: 'to come' };

/** The progress of the escrow from the agreement to its end, drawn as steps on a line. */
export function StatePath({ escrow }: { escrow: Escrow }) {
  return (
    <ol className={classes.path} aria-label="Progress">
      {pathOf(escrow).map((step) => (
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
            <span className={classes.said}>, {SAID[step.state]}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}

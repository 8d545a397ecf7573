import { Text } from '@mantine/core';
import { IconClock } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import classes from './Deadline.module.css';

interface Props {
  /** What the clock does, and when. Nothing is shown without it. */
  words: string;
  /** The way to object. */
  children?: ReactNode;
}

/** What happens by itself if nobody does anything. */
export function Deadline({ words, children }: Props) {
  if (!words) return null;
  return (
    <div className={classes.deadline} data-deadline>
      <IconClock size={18} aria-hidden className={classes.icon} />
      <div className={classes.body}>
        <Text size="sm">{words}</Text>
        {children}
      </div>
    </div>
  );
}

import { CopyButton, Tooltip, UnstyledButton } from '@mantine/core';
import classes from './Copyable.module.css';

/** An id or a number that people pass on: a click copies it. */
export function Copyable({ value }: { value: string }) {
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? 'Copied' : 'Copy'}>
          <UnstyledButton className={classes.id} onClick={copy} aria-label={`Copy ${value}`}>
            {value}
          </UnstyledButton>
        </Tooltip>
      )}
    </CopyButton>
  );
}

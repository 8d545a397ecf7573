import { CopyButton, Tooltip, UnstyledButton } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import classes from './Copyable.module.css';

/** An id or a number that people pass on: a click copies it. */
export function Copyable({ value }: { value: string }) {
  const { t } = useTranslation();
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <Tooltip label={t(copied ? 'escrow.page.copied' : 'escrow.page.copy')}>
          <UnstyledButton
            data-id
            className={classes.id}
            onClick={copy}
            aria-label={t('escrow.page.copyValue', { value })}
          >
            {value}
          </UnstyledButton>
        </Tooltip>
      )}
    </CopyButton>
  );
}

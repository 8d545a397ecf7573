import { Skeleton, Stack } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import classes from './EscrowPage.module.css';

const EVENTS = 3;
const FACTS = 5;

/** The page of an escrow that is on its way: its head, where it stands, its timeline and its side. */
export function EscrowSkeleton() {
  const { t } = useTranslation();
  return (
    <div className={classes.page} role="status" aria-busy aria-label={t('escrow.page.loading')}>
      <div className={classes.head}>
        <Skeleton height={16} width={96} mb={18} />
        <div className={classes.titles}>
          <Skeleton height={36} width="min(420px, 62%)" />
          <Skeleton height={28} width={112} radius="xl" />
        </div>
        <Skeleton height={30} width={128} mt={12} />
      </div>
      <div className={classes.main}>
        <div className={`hf-card ${classes.panel}`}>
          <Skeleton height={64} />
          <hr className={classes.rule} />
          <Skeleton height={14} radius="xl" mb={18} />
          <Lines count={1} />
        </div>
        <div className={`hf-card ${classes.panel}`}>
          <Skeleton height={22} width={110} mb={24} />
          <Lines count={EVENTS} />
        </div>
      </div>
      <div className={classes.side}>
        <div className={`hf-card ${classes.panel}`}>
          <Skeleton height={22} width={140} mb={18} />
          <Lines count={2} />
          <Skeleton height={36} mt={22} />
        </div>
        <div className={`hf-card ${classes.panel}`}>
          <Lines count={FACTS} />
        </div>
      </div>
    </div>
  );
}

function Lines({ count }: { count: number }) {
  return (
    <Stack gap={14}>
      {Array.from({ length: count }, (_, index) => (
        <Skeleton key={index} height={14} width={`${88 - ((index * 23) % 40)}%`} />
      ))}
    </Stack>
  );
}

import { Skeleton } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import row from '../EscrowRow.module.css';

const ROWS = 6;

/** Rows whose escrows are on their way, of the size of the real ones. */
export function Skeletons() {
  const { t } = useTranslation();
  return (
    <div className={row.list} role="status" aria-busy aria-label={t('list.loading')}>
      {Array.from({ length: ROWS }, (_, index) => (
        <div key={index} className={`hf-card ${row.row} ${row.columns}`}>
          <div className={row.what}>
            <Skeleton height={16} width={`${38 + ((index * 17) % 40)}%`} mb={9} />
            <Skeleton height={12} width="30%" />
          </div>
          <Skeleton className={row.created} height={12} width={84} />
          <Skeleton className={row.due} height={12} width={130} />
          <div className={row.money}>
            <Skeleton height={16} width={88} ml="auto" />
            <Skeleton height={4} />
          </div>
          <div className={row.state}>
            <Skeleton height={22} width={104} radius="xl" />
            <Skeleton height={12} width={84} />
          </div>
        </div>
      ))}
    </div>
  );
}

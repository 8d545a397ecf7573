import { Button } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { EXPORT_MAX, fetchAll } from '../../api/export';
import type { Filter } from '../../api/filter';
import { useAuth } from '../../contexts/AuthContext';
import { toCsv } from '../../escrow/csv';
import { toast } from '../../feedback/toast';

/** Saves all escrows of the filter, those of further pages too, as a file for a spreadsheet. */
export function ExportButton({ filter }: { filter: Filter }) {
  const { t } = useTranslation();
  const { token } = useAuth();
  const saving = useMutation({
    mutationFn: () => fetchAll(filter, token),
    onSuccess: ({ escrows, isAll }) => {
      save(toCsv(escrows), `escrows-${new Date().toISOString().slice(0, 10)}.csv`);
      const count = escrows.length;
      toast(isAll ? t('list.saved', { count }) : t('list.savedPart', { count: EXPORT_MAX }));
    },
    onError: (error) => toast(error.message),
  });
  return (
    <Button
      variant="default"
      loading={saving.isPending}
      leftSection={<IconDownload size={17} aria-hidden />}
      onClick={() => saving.mutate()}
    >
      {t('list.csv')}
    </Button>
  );
}

function save(text: string, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
  link.download = name;
  link.click();
  // The browser has begun by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

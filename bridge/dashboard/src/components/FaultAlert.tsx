import { Alert, Button, Group } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Fault } from '../api/http';
import { wordsFor } from '../words';

interface Props {
  error: Error | null;
  onRetry?: () => void;
  /** Whether the server's own sentence, which is for engineers, is shown too. */
  isForOperators?: boolean;
}

/** Says what went wrong, at the place where it did. Empty without an error. */
export function FaultAlert({ error, onRetry, isForOperators = false }: Props) {
  const { t } = useTranslation();
  if (!error) return null;
  return (
    <Alert role="alert" color="red" icon={<IconAlertTriangle aria-hidden />} title={t(isPassing(error) ? 'fault.passing' : 'fault.title')}>
      <Group justify="space-between">
        {faultWords(error) ?? t('fault.unknown')}
        {onRetry && (
          <Button size="xs" variant="default" onClick={onRetry}>
            {t('fault.again')}
          </Button>
        )}
      </Group>
      {isForOperators && <div lang="en">{error.message}</div>}
    </Alert>
  );
}

function isPassing(error: Error): boolean {
  return error instanceof Fault && error.isPassing;
}

/** The server's sentences are for engineers: people are told by its reason. */
function faultWords(error: Error): string | undefined {
  return error instanceof Fault ? wordsFor('fault.reason', error.reason) : undefined;
}

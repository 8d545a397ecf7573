import { Alert, Button, Group } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Fault } from '../api/http';

interface Props {
  error: Error | null;
  onRetry?: () => void;
}

/** Says what went wrong, at the place where it did. Empty without an error. */
export function FaultAlert({ error, onRetry }: Props) {
  if (!error) return null;
  return (
    <Alert role="alert" color="red" icon={<IconAlertTriangle aria-hidden />} title={titleOf(error)}>
      <Group justify="space-between">
        {error.message}
        {onRetry && (
          <Button size="xs" variant="default" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Group>
    </Alert>
  );
}

function titleOf(error: Error): string {
  return error instanceof Fault && error.isPassing ? 'Temporarily unavailable' : 'That did not work';
}

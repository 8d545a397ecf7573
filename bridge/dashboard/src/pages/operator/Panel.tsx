import { Group, Skeleton, Stack, Text, Title } from '@mantine/core';
import { useId, type ReactNode } from 'react';
import { FaultAlert } from '../../components/FaultAlert';
import classes from './operator.module.css';

interface Props {
  title: string;
  about?: string;
  /** Beside the title. */
  aside?: ReactNode;
  query?: { error: Error | null; isPending: boolean; refetch: () => unknown };
  children: ReactNode;
}

/** One matter of the room. What fails in it is told in it, and leaves the others as they are. */
export function Panel({ title, about, aside, query, children }: Props) {
  const id = useId();
  return (
    <section className={`hf-card ${classes.panel}`} aria-labelledby={id}>
      <Stack gap="md">
        <Group justify="space-between" align="flex-start">
          <div>
            <Title order={2} size="h3" id={id}>
              {title}
            </Title>
            {about && (
              <Text c="dimmed" size="sm" mt={4} maw={680}>
                {about}
              </Text>
            )}
          </div>
          {aside}
        </Group>
        {query && <FaultAlert error={query.error} onRetry={() => void query.refetch()} />}
        {query?.isPending ? <Skeleton height={96} /> : children}
      </Stack>
    </section>
  );
}

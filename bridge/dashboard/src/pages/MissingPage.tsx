import { Anchor, Stack, Text, Title } from '@mantine/core';
import { Link } from 'react-router';
import { usePageTitle } from './title';

export function MissingPage() {
  usePageTitle('Not found');
  return (
    <Stack align="flex-start" maw={520} mx="auto" pt="xl">
      <Title order={1}>There is nothing here</Title>
      <Text c="dimmed">The address may be mistyped, or you may not have access to this page.</Text>
      <Anchor component={Link} to="/">
        To your escrows
      </Anchor>
    </Stack>
  );
}

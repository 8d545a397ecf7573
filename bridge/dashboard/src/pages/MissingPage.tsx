import { Anchor, Stack, Text, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { usePageTitle } from './title';

export function MissingPage() {
  const { t } = useTranslation();
  usePageTitle(t('escrow.page.notFound'));
  return (
    <Stack align="flex-start" maw={520} mx="auto" pt="xl">
      <Title order={1}>{t('escrow.page.nothingHere')}</Title>
      <Text c="dimmed">{t('escrow.page.mistyped')}</Text>
      <Anchor component={Link} to="/">
        {t('escrow.page.toEscrows')}
      </Anchor>
    </Stack>
  );
}

import { Button, Text, Title } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import classes from './Guide.module.css';

/** What an empty list says to somebody who is new. */
export function Guide() {
  const { t } = useTranslation();
  return (
    <div className={classes.guide}>
      <Title order={2} size="h3">
        {t('list.none')}
      </Title>
      <ol className={classes.steps}>
        {(['agree', 'pay', 'content'] as const).map((step) => (
          <li key={step}>
            <Text fw={560}>{t(`list.steps.${step}.title`)}</Text>
            <Text c="dimmed" size="sm">
              {t(`list.steps.${step}.text`)}
            </Text>
          </li>
        ))}
      </ol>
      <Button component={Link} to="/new" leftSection={<IconPlus size={17} aria-hidden />}>
        {t('list.first')}
      </Button>
      <Text c="dimmed" size="sm">
        {t('list.invited')}
      </Text>
    </div>
  );
}

import { Alert, Button, Code, Group, Text } from '@mantine/core';
import { IconAlertTriangle, IconBuildingBank } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Notice } from '../escrow/attention';
import classes from './Notices.module.css';

/** What the reader is to know, or to do, before the money can move. */
export function Notices({ notices }: { notices: Notice[] }) {
  const { t } = useTranslation();
  return notices.map((notice) => {
    const Icon = notice.asksForAccount ? IconBuildingBank : IconAlertTriangle;
    return (
      <Alert
        key={`${notice.code ?? ''} ${notice.text}`}
        role="status"
        color="yellow"
        icon={<Icon aria-hidden />}
        className={classes.notice}
        data-notice={notice.code ?? ''}
      >
        <Group gap="sm">
          {notice.code && <Code data-technical>{notice.code}</Code>}
          <Text size="sm">{notice.text}</Text>
          {notice.asksForAccount && (
            <Button component={Link} to="/settings" size="compact-sm">
              {t('notice.addAccount')}
            </Button>
          )}
        </Group>
      </Alert>
    );
  });
}

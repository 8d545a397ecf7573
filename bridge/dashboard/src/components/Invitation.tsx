import { Button, CopyButton, Group, Stack, Text, TextInput } from '@mantine/core';
import { IconCheck, IconCopy, IconShare } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import type { Escrow } from '../api/wire';
import { formatMoney } from '../escrow/money';
import { listOf } from '../escrow/person';
import { Person } from './Person';

interface Props {
  escrow: Escrow;
  /** Who is to accept. */
  names: string[];
}

/** The link to this page, to be sent to the other side. It leads here after they have logged in. */
export function Invitation({ escrow, names }: Props) {
  const { t } = useTranslation();
  const who = listOf(names);
  const link = location.origin + location.pathname;
  const inviteWords = t('invite.message', {
    title: escrow.title,
    price: formatMoney(escrow.amount_minor, escrow.currency),
  });
  return (
    <Stack gap="xs">
      {names.map((id) => (
        <Person key={id} id={id} />
      ))}
      <TextInput
        label={t('invite.label', { who })}
        description={t('invite.about', { who })}
        readOnly
        value={link}
        onFocus={(event) => event.currentTarget.select()}
      />
      <Group gap="xs" grow>
        <CopyButton value={link}>
          {({ copied, copy }) => (
            <Button
              variant="default"
              onClick={copy}
              leftSection={
                copied ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />
              }
            >
              {t(copied ? 'invite.copied' : 'invite.copy')}
            </Button>
          )}
        </CopyButton>
        {canShare() && (
          <Button
            leftSection={<IconShare size={16} aria-hidden />}
            onClick={() => void share(link, escrow.title, inviteWords)}
          >
            {t('invite.share')}
          </Button>
        )}
      </Group>
      <Text role="status" size="xs" c="dimmed">
        {t('invite.waiting', { count: names.length, who })}
      </Text>
    </Stack>
  );
}

/** Phones, and some computers, hand a link to the app that the user chooses. */
function canShare(): boolean {
  return typeof navigator.share === 'function';
}

async function share(url: string, title: string, text: string): Promise<void> {
  // It is rejected when the user closes the list of apps.
  await navigator.share({ url, title, text }).catch(() => undefined);
}

import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useState, type SyntheticEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { useCommand } from '../../api/command';
import { FaultAlert } from '../../components/FaultAlert';
import { useAuth } from '../../contexts/AuthContext';
import { Panel } from './Panel';

/** Ends all sessions of a person. */
export function Tokens() {
  const { t } = useTranslation();
  const [user, setUser] = useState('');
  const [asked, setAsked] = useState('');
  const [revoked, setRevoked] = useState<string[]>([]);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (user.trim()) setAsked(user.trim());
  };
  return (
    <Panel title={t('operator.tokens.title')} about={t('operator.tokens.about')}>
      <form onSubmit={submit}>
        <Group align="flex-end" gap="sm">
          <TextInput
            flex={1}
            miw={200}
            maw={360}
            label={t('operator.tokens.user')}
            autoComplete="off"
            spellCheck={false}
            value={user}
            onChange={(event) => setUser(event.currentTarget.value)}
          />
          <Button type="submit" variant="default" disabled={!user.trim()}>
            {t('operator.tokens.revoke')}
          </Button>
        </Group>
      </form>
      {revoked.map((one) => (
        <Text key={one} role="status" size="sm">
          {t('operator.tokens.done', { user: one })}
        </Text>
      ))}
      {asked && (
        <Confirm
          user={asked}
          onClose={() => setAsked('')}
          onDone={() => {
            setRevoked((before) => [asked, ...before.filter((one) => one !== asked)]);
            setAsked('');
            setUser('');
          }}
        />
      )}
    </Panel>
  );
}

interface ConfirmProps {
  user: string;
  onClose: () => void;
  onDone: () => void;
}

function Confirm({ user, onClose, onDone }: ConfirmProps) {
  const { t } = useTranslation();
  const me = useAuth().user?.user_id;
  const command = useCommand();
  const revoke = () =>
    command.mutate(
      { path: `/api/v1/users/${encodeURIComponent(user)}:revokeTokens`, body: {} },
      { onSuccess: onDone },
    );
  return (
    <Modal opened onClose={onClose} title={t('operator.tokens.ask', { user })}>
      <Stack>
        <Text>{t('operator.tokens.means', { user })}</Text>
        {user === me && <Text fw={560}>{t('operator.tokens.yourself')}</Text>}
        <FaultAlert error={command.error} isForOperators />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t('operator.back')}
          </Button>
          <Button color="red" loading={command.isPending} onClick={revoke}>
            {t('operator.tokens.deed', { user })}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

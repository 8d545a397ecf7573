import { Button, Group, Modal, Stack, Text, Textarea } from '@mantine/core';
import { useState, type SyntheticEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { useCommand } from '../api/command';
import type { Escrow } from '../api/wire';
import type { User } from '../contexts/AuthContext';
import type { Action } from '../escrow/action';
import { askFor, commandFor, type AskedVerb } from '../escrow/ask';
import { FaultAlert } from './FaultAlert';
import { Moot, useMoot } from './Moot';
import { People } from './People';

interface Props {
  escrow: Escrow;
  user: User;
  action: Action & { verb: AskedVerb };
  onClose: () => void;
}

/** Asks the user to confirm an action, and for a reason or a note; then sends the command. */
export function ActionDialog({ escrow, user, action, onClose }: Props) {
  const { t } = useTranslation();
  // The text stays as it was when the dialog opened, even if the escrow changes meanwhile.
  const [ask] = useState(() => askFor(action.verb, escrow, action, user.user_id));
  const [words, setWords] = useState('');
  const [isMissing, setMissing] = useState(false);
  const command = useCommand();
  const moot = useMoot(escrow, action);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const said = words.trim();
    if (ask.words?.isRequired && !said) return setMissing(true);
    const fields = ask.words && said ? { [ask.words.field]: said } : {};
    command.mutate(commandFor(action.verb, escrow, action, fields), { onSuccess: onClose });
  };
  return (
    <Modal opened onClose={onClose} title={ask.title} size="md">
      {moot && !command.isPending && !command.isSuccess ? (
        <Moot escrow={escrow} piece={moot} written={words} onClose={onClose} />
      ) : (
        <form onSubmit={submit} noValidate>
          <Stack>
            {ask.text.map((words) => (
              <Text key={words} className="hf-words">
                {words}
              </Text>
            ))}
            <People escrow={escrow} user={user} />
            {ask.words && (
              <Textarea
                label={ask.words.label}
                withAsterisk={ask.words.isRequired}
                required={ask.words.isRequired}
                autosize
                minRows={3}
                maxLength={ask.words.max}
                data-autofocus
                value={words}
                error={isMissing && t('action.sayIt')}
                onChange={(event) => {
                  setWords(event.currentTarget.value);
                  setMissing(false);
                }}
              />
            )}
            <FaultAlert error={command.error} />
            <Group justify="flex-end">
              <Button variant="default" onClick={onClose}>
                {t('action.back')}
              </Button>
              <Button type="submit" loading={command.isPending} color={toneOf(action.verb)}>
                {ask.deed}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}

function toneOf(verb: AskedVerb): string | undefined {
  return verb === 'dispute' || verb === 'cancel' ? 'red' : undefined;
}

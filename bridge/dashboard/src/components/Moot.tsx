import { Alert, Button, Group, Stack, Text, Textarea } from '@mantine/core';
import { IconInfoCircle } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Escrow } from '../api/wire';
import { useAuth, type User } from '../contexts/AuthContext';
import { actionsOf, type Action } from '../escrow/action';
import { called } from '../escrow/person';
import type { PieceData } from '../services/websocket';

/**
 * Answers what an action was for, as it is now, if the other side or the clock has made the action
 * impossible since the dialog opened; null while it is possible.
 */
export function useMoot(escrow: Escrow, action: Action): PieceData | null {
  const { user } = useAuth();
  const [wasOffered] = useState(() => user !== null && isOffered(escrow, action, user));
  if (!user || !wasOffered || isOffered(escrow, action, user)) return null;
  return escrow.milestones.find((one) => one.milestone_id === action.milestone?.milestone_id) ?? escrow;
}

function isOffered(escrow: Escrow, { verb, milestone }: Action, user: User): boolean {
  return actionsOf(escrow, user).some(
    (one) => one.verb === verb && one.milestone?.milestone_id === milestone?.milestone_id,
  );
}

interface Props {
  escrow: Escrow;
  piece: PieceData;
  /** What the user has typed. */
  written: string;
  onClose: () => void;
}

/** Takes the place of a form whose action has become impossible: says why, and keeps what was typed. */
export function Moot({ escrow, piece, written, onClose }: Props) {
  const { t } = useTranslation();
  const people = { buyer: called(escrow.buyer_id), seller: called(escrow.seller_id) };
  return (
    <Stack>
      <Alert role="alert" color="yellow" icon={<IconInfoCircle aria-hidden />} title={t('feedback.moot.title')}>
        <Text className="hf-words">
          {t(`feedback.moot.${piece.status}`, people)} {t('feedback.moot.nothingSent')}
        </Text>
      </Alert>
      {written.trim() !== '' && (
        <Textarea label={t('feedback.moot.written')} readOnly autosize minRows={2} value={written} />
      )}
      <Group justify="flex-end">
        <Button variant="default" data-autofocus onClick={onClose}>
          {t('feedback.moot.close')}
        </Button>
      </Group>
    </Stack>
  );
}

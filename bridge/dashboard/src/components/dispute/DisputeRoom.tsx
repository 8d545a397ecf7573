import { Text, Title } from '@mantine/core';
import { useId } from 'react';
import { useTranslation } from 'react-i18next';
import type { Escrow } from '../../api/wire';
import type { User } from '../../contexts/AuthContext';
import { called } from '../../escrow/person';
import { pieceOf, talkOf, type Message } from '../../escrow/talk';
import type { EventData } from '../../services/websocket';
import { Composer } from './Composer';
import { Conversation } from './Conversation';
import classes from './DisputeRoom.module.css';

interface Props {
  escrow: Escrow;
  user: User;
  events: EventData[];
}

/** A room for each piece that is or was in dispute, where both sides and the arbiter talk. */
export function DisputeRooms(props: Props) {
  const ids = props.escrow.milestones.map((one) => one.milestone_id);
  return (ids.length > 0 ? ids : ['']).map((id) => <Room key={id} {...props} milestoneId={id} />);
}

function Room({ escrow, user, events, milestoneId }: Props & { milestoneId: string }) {
  const { t } = useTranslation();
  const title = useId();
  const piece = pieceOf(escrow, milestoneId);
  const messages = talkOf(escrow, events, milestoneId);
  if (messages.length === 0) return null;
  const isOpen = piece.status === 'DISPUTED';
  return (
    <section className={`hf-card ${classes.room}`} aria-labelledby={title} data-dispute={milestoneId}>
      <Title order={2} size="h3" id={title}>
        {milestoneId ? t('dispute.titleOf', { milestone: piece.title }) : t('dispute.title')}
      </Title>
      {isOpen && (
        <Text size="sm" c="dimmed">
          {t('dispute.about')}
        </Text>
      )}
      <Conversation escrow={escrow} user={user} messages={messages} />
      {isOpen ? (
        <Composer escrow={escrow} user={user} milestoneId={milestoneId} messages={messages} />
      ) : (
        <Text size="sm" c="dimmed" className={classes.over}>
          {overWords(messages)}
        </Text>
      )}
    </section>
  );

  /** Why nobody can write any more. */
  function overWords(said: Message[]): string {
    const end = said.findLast((one) => one.kind === 'resolved' || one.kind === 'withdrawn');
    if (!end) return t('dispute.over.ended');
    return t(`dispute.over.${end.kind as 'resolved' | 'withdrawn'}`, { who: called(end.author_id) });
  }
}

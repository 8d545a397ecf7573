import { Badge, Text, VisuallyHidden } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Escrow } from '../../api/wire';
import type { User } from '../../contexts/AuthContext';
import { called } from '../../escrow/person';
import type { Message } from '../../escrow/talk';
import { moment } from '../../escrow/time';
import { Person } from '../Person';
import { Attachments } from './Attachments';
import classes from './Conversation.module.css';
import { Record } from './Record';

interface Props {
  escrow: Escrow;
  user: User;
  messages: Message[];
}

/** What was said, the newest at the end. A screen reader reads out what others say meanwhile. */
export function Conversation({ escrow, user, messages }: Props) {
  const { t } = useTranslation();
  const [seen] = useState(messages.at(-1)?.version ?? 0);
  const newest = messages.at(-1);
  const isNews = newest && newest.version > seen && newest.author_id !== user.user_id;
  return (
    <>
      <VisuallyHidden role="status">
        {isNews && t('dispute.news', { who: called(newest.author_id), text: newest.text })}
      </VisuallyHidden>
      <ol className={classes.list} aria-label={t('dispute.conversation')}>
        {messages.map((one) => (
          <Entry key={one.version} escrow={escrow} user={user} message={one} />
        ))}
      </ol>
    </>
  );
}

function Entry({ escrow, user, message }: Omit<Props, 'messages'> & { message: Message }) {
  const { t } = useTranslation();
  const isMine = message.author_id === user.user_id;
  return (
    <li
      className={classes.entry}
      data-message={message.version}
      data-kind={message.kind}
      data-mine={isMine || undefined}
    >
      <div className={classes.head}>
        <Text component="span" size="sm" fw={600} className={classes.name}>
          <Person id={message.author_id} isYou={isMine} />
        </Text>
        <Badge variant="default" radius="sm" tt="none" fw={500} fz={12}>
          {t(`dispute.role.${message.role}`)}
        </Badge>
        <time dateTime={message.time} className={classes.time}>
          {moment(message.time)}
        </time>
      </div>
      {message.kind !== 'message' && (
        <Text size="sm" fw={560} className={classes.deed}>
          {t(`dispute.deed.${message.kind}`)}
        </Text>
      )}
      {message.text && <p className={`hf-words ${classes.words}`}>{message.text}</p>}
      {message.attachments.length > 0 && (
        <>
          <Attachments escrowId={escrow.escrow_id} message={message} />
          <Record message={message} />
        </>
      )}
    </li>
  );
}

import { ActionIcon, Button, Progress, Text } from '@mantine/core';
import { IconFileTypePdf, IconPhoto, IconX } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { sizeWords } from '../../escrow/file';
import { isPicture, type Attachment } from '../../escrow/talk';
import classes from './FileLine.module.css';

interface Props {
  file: Pick<Attachment, 'name' | 'content_type' | 'size_bytes'>;
  /** Undefined once the server has it. */
  sent_bytes?: number;
  problem?: string;
  onRetry?: () => void;
  onRemove: () => void;
}

/** A file that goes with the message: how far it is, and why it did not go. */
export function FileLine({ file, sent_bytes, problem = '', onRetry, onRemove }: Props) {
  const { t } = useTranslation();
  const Icon = isPicture(file) ? IconPhoto : IconFileTypePdf;
  const isGoing = sent_bytes !== undefined && !problem;
  const share = Math.round((100 * (sent_bytes ?? 0)) / Math.max(file.size_bytes, 1));
  return (
    <li className={classes.line} data-file={file.name} data-ready={sent_bytes === undefined || undefined}>
      <Icon aria-hidden />
      <div className={classes.what}>
        <Text size="sm" className={classes.name}>
          {file.name}
          <Text span size="sm" c="dimmed">
            {' · '}
            {sizeWords(file.size_bytes)}
          </Text>
        </Text>
        {isGoing && (
          <Progress value={share} size="sm" aria-label={t('dispute.progress', { name: file.name })} />
        )}
        {problem && (
          <Text size="sm" c="var(--hf-tone-alarm)" role="alert">
            {problem}
          </Text>
        )}
      </div>
      {problem && onRetry && (
        <Button size="xs" variant="default" onClick={onRetry}>
          {t('dispute.again')}
        </Button>
      )}
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={t(isGoing ? 'dispute.cancel' : 'dispute.remove', { name: file.name })}
        onClick={onRemove}
      >
        <IconX size={18} aria-hidden />
      </ActionIcon>
    </li>
  );
}

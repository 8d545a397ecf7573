import { Button, FileButton, Group, Text, Textarea } from '@mantine/core';
import { IconCamera, IconPaperclip } from '@tabler/icons-react';
import { useEffect, useState, type ClipboardEvent, type DragEvent, type SyntheticEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { forget } from '../../api/attachment';
import { commandPath, useCommand } from '../../api/command';
import type { Escrow } from '../../api/wire';
import { useAuth, type User } from '../../contexts/AuthContext';
import { FILE_TYPES, FILES_MAX } from '../../escrow/file';
import type { Attachment, Message } from '../../escrow/talk';
import { FaultAlert } from '../FaultAlert';
import classes from './Composer.module.css';
import { FileLine } from './FileLine';
import { hasArrived, useDraft } from './useDraft';
import { useUploads } from './useUploads';

const TEXT_MAX = 4000;

interface Props {
  escrow: Escrow;
  user: User;
  milestoneId: string;
  messages: Message[];
}

/** Where a message is written, and pictures and documents are attached to it. */
export function Composer({ escrow, user, milestoneId, messages }: Props) {
  const { t } = useTranslation();
  const { token } = useAuth();
  const [problem, setProblem] = useState('');
  const [isOver, setOver] = useState(false);
  const { escrow_id } = escrow;
  const { draft, setDraft, attemptAt, clear } = useDraft(escrow_id, milestoneId, user.user_id);
  const uploads = useUploads(escrow_id, (file) =>
    setDraft((now) => ({ ...now, files: [...now.files, file] })),
  );
  const command = useCommand();
  const length = Array.from(draft.text.trim()).length;
  const isThere = hasArrived(draft.attempt, messages, user.user_id);
  useEffect(() => {
    if (isThere) clear();
  }, [isThere, clear]);

  const attach = (files: File[]) => {
    if (files.length === 0) return;
    const room = FILES_MAX - draft.files.length - uploads.pending.length;
    setProblem(files.length > room ? t('dispute.problem.tooMany', { max: FILES_MAX }) : '');
    uploads.add(files.slice(0, Math.max(room, 0)));
  };
  const detach = (file: Attachment) => {
    setDraft((now) => ({ ...now, files: now.files.filter((one) => one !== file) }));
    void forget(escrow_id, file.file_id, token);
  };
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const wrong = problemNow();
    setProblem(wrong);
    if (wrong || command.isPending) return;
    const { key, text, file_ids } = attemptAt(messages.at(-1)?.version ?? 0);
    const milestone = milestoneId ? { milestone_id: milestoneId } : {};
    const body = { text, file_ids, ...milestone };
    command.mutate({ path: commandPath(escrow_id, 'addMessage'), body, key }, { onSuccess: clear });
  };
  const problemNow = () => {
    if (uploads.pending.some((one) => !one.problem)) return t('dispute.problem.wait');
    if (uploads.pending.length > 0) return t('dispute.problem.unsent');
    if (length > TEXT_MAX) return t('dispute.problem.tooLong', { max: TEXT_MAX });
    return length === 0 && draft.files.length === 0 ? t('dispute.problem.nothing') : '';
  };
  const paste = (event: ClipboardEvent) => {
    const files = [...event.clipboardData.files];
    if (files.length > 0) event.preventDefault();
    attach(files);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    attach([...event.dataTransfer.files]);
  };
  return (
    // Files may be dropped anywhere on it; the buttons do the same.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <form
      className={classes.form}
      noValidate
      data-over={isOver || undefined}
      onSubmit={submit}
      onPaste={paste}
      onDrop={drop}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
    >
      <Textarea
        label={t('dispute.say')}
        description={t('dispute.readers')}
        autosize
        minRows={3}
        maxRows={14}
        value={draft.text}
        error={problem}
        onChange={(event) => {
          const text = event.currentTarget.value;
          setDraft((now) => ({ ...now, text }));
          setProblem('');
        }}
      />
      <Text size="xs" c="dimmed" ta="end" data-full={length > TEXT_MAX || undefined}>
        {t('dispute.length', { length, max: TEXT_MAX })}
      </Text>
      {draft.files.length + uploads.pending.length > 0 && (
        <ul className={classes.files} aria-label={t('dispute.files')}>
          {draft.files.map((one) => (
            <FileLine key={one.file_id} file={one} onRemove={() => detach(one)} />
          ))}
          {uploads.pending.map((one) => (
            <FileLine
              key={one.key}
              file={{ name: one.file.name, content_type: one.file.type, size_bytes: one.file.size }}
              sent_bytes={one.sent_bytes}
              problem={one.problem}
              onRetry={one.isPassing ? () => uploads.retry(one) : undefined}
              onRemove={() => uploads.cancel(one)}
            />
          ))}
        </ul>
      )}
      <FaultAlert error={command.error} />
      <Group justify="space-between" gap="xs">
        <Pick onPick={attach} />
        <Button type="submit" loading={command.isPending}>
          {command.isError ? t('dispute.sendAgain') : t('dispute.send')}
        </Button>
      </Group>
      <Text size="xs" c="dimmed">
        {t('dispute.kinds')}
      </Text>
    </form>
  );
}

/** The buttons that choose files, or take a picture with a phone. */
function Pick({ onPick }: { onPick: (files: File[]) => void }) {
  const { t } = useTranslation();
  return (
    <Group gap="xs">
      <FileButton multiple accept={FILE_TYPES.join()} onChange={onPick}>
        {(props) => (
          <Button
            {...props}
            variant="default"
            leftSection={<IconPaperclip size={18} aria-hidden />}
          >
            {t('dispute.attach')}
          </Button>
        )}
      </FileButton>
      <FileButton
        accept="image/jpeg"
        capture="environment"
        onChange={(file) => onPick(file ? [file] : [])}
      >
        {(props) => (
          <Button
            {...props}
            className={classes.camera}
            variant="default"
            leftSection={<IconCamera size={18} aria-hidden />}
          >
            {t('dispute.camera')}
          </Button>
        )}
      </FileButton>
    </Group>
  );
}

import { Button, Group, Loader, Modal } from '@mantine/core';
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react';
import type { KeyboardEvent, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { save, useFile } from '../../api/attachment';
import type { Attachment } from '../../escrow/talk';
import { FaultAlert } from '../FaultAlert';
import { Picture } from './Picture';
import classes from './PictureDialog.module.css';

interface Props {
  escrowId: string;
  pictures: Attachment[];
  altOf: (picture: Attachment) => string;
  at: number;
  isOpen: boolean;
  onMove: (at: number) => void;
  onClose: () => void;
}

/** A picture in full. The arrow keys go to the message's other pictures. */
export function PictureDialog({ escrowId, pictures, altOf, at, isOpen, onMove, onClose }: Props) {
  const { t } = useTranslation();
  const picture = pictures[at];
  if (!picture) return null;
  const move = (step: number) => onMove((at + step + pictures.length) % pictures.length);
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'ArrowLeft') move(-1);
    if (event.key === 'ArrowRight') move(1);
  };
  return (
    <Modal
      opened={isOpen}
      // A verdict's dialog stays when the picture before it is closed.
      stackId="picture"
      onClose={onClose}
      onKeyDown={onKey}
      title={picture.name}
      size="auto"
      returnFocus
      classNames={{ title: `hf-modal-title ${classes.title}` }}
    >
      <Full key={picture.file_id} escrowId={escrowId} picture={picture} alt={altOf(picture)}>
        {pictures.length > 1 && (
          <Group gap="xs">
            <Button
              variant="default"
              leftSection={<IconChevronLeft size={16} aria-hidden />}
              onClick={() => move(-1)}
            >
              {t('dispute.picture.previous')}
            </Button>
            <span>{t('dispute.picture.place', { at: at + 1, of: pictures.length })}</span>
            <Button
              variant="default"
              rightSection={<IconChevronRight size={16} aria-hidden />}
              onClick={() => move(1)}
            >
              {t('dispute.picture.next')}
            </Button>
          </Group>
        )}
      </Full>
    </Modal>
  );
}

interface FullProps {
  escrowId: string;
  picture: Attachment;
  alt: string;
  children: ReactNode;
}

function Full({ escrowId, picture, alt, children }: FullProps) {
  const { t } = useTranslation();
  const bytes = useFile(escrowId, picture);
  return (
    <div className={classes.full}>
      {bytes.data ? (
        <Picture bytes={bytes.data} alt={alt} className={classes.picture} />
      ) : bytes.isError ? (
        <FaultAlert error={bytes.error} onRetry={() => void bytes.refetch()} />
      ) : (
        <Loader aria-label={alt} />
      )}
      <Group justify="space-between">
        {children}
        <Button
          variant="default"
          disabled={!bytes.data}
          onClick={() => bytes.data && save(bytes.data, picture.name)}
        >
          {t('dispute.save')}
        </Button>
      </Group>
    </div>
  );
}

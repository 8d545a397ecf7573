import { Button, Skeleton, Text } from '@mantine/core';
import { useInViewport } from '@mantine/hooks';
import { IconFileTypePdf, IconPhotoOff } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { download, save, useFile } from '../../api/attachment';
import { useAuth } from '../../contexts/AuthContext';
import { sizeWords } from '../../escrow/file';
import { called } from '../../escrow/person';
import { isPicture, type Attachment, type Message } from '../../escrow/talk';
import { moment } from '../../escrow/time';
import { FaultAlert } from '../FaultAlert';
import classes from './Attachments.module.css';
import { Picture } from './Picture';
import { PictureDialog } from './PictureDialog';

/** The files of a message: pictures as thumbnails that open large, documents to be saved. */
export function Attachments({ escrowId, message }: { escrowId: string; message: Message }) {
  const { t } = useTranslation();
  const [at, setAt] = useState(0);
  const [isLarge, setLarge] = useState(false);
  const pictures = message.attachments.filter(isPicture);
  const documents = message.attachments.filter((one) => !isPicture(one));
  const altOf = ({ name }: Attachment) =>
    t('dispute.picture.alt', { name, who: called(message.author_id), time: moment(message.time) });
  return (
    <>
      {pictures.length > 0 && (
        <ul className={classes.pictures} aria-label={t('dispute.pictures')}>
          {pictures.map((one, index) => (
            <li key={one.file_id}>
              <button
                type="button"
                className={classes.picture}
                aria-haspopup="dialog"
                onClick={() => {
                  setAt(index);
                  setLarge(true);
                }}
              >
                <Thumbnail escrowId={escrowId} file={one} alt={altOf(one)} />
              </button>
            </li>
          ))}
        </ul>
      )}
      {documents.map((one) => (
        <Document key={one.file_id} escrowId={escrowId} file={one} />
      ))}
      {pictures.length > 0 && (
        <PictureDialog
          escrowId={escrowId}
          pictures={pictures}
          altOf={altOf}
          at={at}
          isOpen={isLarge}
          onMove={setAt}
          onClose={() => setLarge(false)}
        />
      )}
    </>
  );
}

/** Is fetched once it comes into view. */
function Thumbnail({ escrowId, file, alt }: { escrowId: string; file: Attachment; alt: string }) {
  const { t } = useTranslation();
  const { ref, inViewport } = useInViewport<HTMLDivElement>();
  const bytes = useFile(escrowId, file, inViewport);
  return (
    <div ref={ref} className={classes.thumbnail}>
      {bytes.data ? (
        <Picture bytes={bytes.data} alt={alt} />
      ) : bytes.isError ? (
        <span className={classes.gone}>
          <IconPhotoOff aria-hidden /> {t('dispute.picture.gone', { name: file.name })}
        </span>
      ) : (
        <Skeleton height="100%" aria-label={alt} />
      )}
    </div>
  );
}

function Document({ escrowId, file }: { escrowId: string; file: Attachment }) {
  const { t } = useTranslation();
  const { token } = useAuth();
  const saving = useMutation({
    mutationFn: () => download(escrowId, file.file_id, { token, content_type: file.content_type }),
    onSuccess: (bytes) => save(bytes, file.name),
  });
  return (
    <>
      <div className={classes.document}>
        <IconFileTypePdf aria-hidden />
        <Text size="sm" className={classes.name}>
          {file.name}
          <Text span size="sm" c="dimmed">
            {' · '}
            {sizeWords(file.size_bytes)}
          </Text>
        </Text>
        <Button
          size="xs"
          variant="default"
          loading={saving.isPending}
          aria-label={t('dispute.saveNamed', { name: file.name })}
          onClick={() => saving.mutate()}
        >
          {t('dispute.save')}
        </Button>
      </div>
      <FaultAlert error={saving.error} />
    </>
  );
}

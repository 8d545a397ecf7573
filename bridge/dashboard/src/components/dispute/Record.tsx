import { useTranslation } from 'react-i18next';
import type { Message } from '../../escrow/talk';
import { Copyable } from '../Copyable';
import classes from './Record.module.css';

/** The technical record of a message's files: its number, and the hash by which each can be checked. */
export function Record({ message }: { message: Message }) {
  const { t } = useTranslation();
  return (
    <details className={classes.record}>
      <summary>{t('dispute.record.title')}</summary>
      <dl className={classes.facts}>
        <div>
          <dt>{t('dispute.record.number')}</dt>
          <dd>{message.version}</dd>
        </div>
        {message.attachments.map((one) => (
          <div key={one.file_id}>
            <dt>{t('dispute.record.hash', { name: one.name })}</dt>
            <dd>
              <Copyable value={one.sha256} />
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

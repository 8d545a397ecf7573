import { Modal } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useTimeline } from '../api/live';
import type { Escrow } from '../api/wire';
import { useAuth } from '../contexts/AuthContext';
import type { Action } from '../escrow/action';
import { formatMoney } from '../escrow/money';
import { talkOf } from '../escrow/talk';
import { Case } from './dispute/Case';
import { VerdictForm, type Verdict } from './dispute/VerdictForm';
import classes from './ResolveDialog.module.css';

export type { Verdict };

interface Props {
  escrow: Escrow;
  action: Action & { verb: Verdict };
  onClose: () => void;
}

/** The whole case on one screen, and beside it how to divide what is held. */
export function ResolveDialog({ escrow, action, onClose }: Props) {
  const { t } = useTranslation();
  const { user } = useAuth();
  // What is divided stays as it was when the dialog opened; what is said goes on.
  const [piece] = useState(action.milestone ?? escrow);
  const { events, refetch } = useTimeline(escrow.escrow_id);
  // What came since the page was opened, only the page has heard.
  useEffect(() => void refetch(), [refetch]);
  const held = formatMoney(piece.held_minor, escrow.currency);
  if (!user) return null;
  return (
    <Modal.Stack>
      <Modal
        opened
        fullScreen
        radius={0}
        stackId="verdict"
        onClose={onClose}
        title={t(action.verb === 'resolve' ? 'dispute.verdict.titleResolve' : 'dispute.verdict.titleOverride', {
          held,
        })}
      >
        <div className={classes.page}>
          <Case
            escrow={escrow}
            user={user}
            piece={piece}
            messages={talkOf(escrow, events, action.milestone?.milestone_id)}
          />
          <VerdictForm escrow={escrow} piece={piece} action={action} onClose={onClose} />
        </div>
      </Modal>
    </Modal.Stack>
  );
}

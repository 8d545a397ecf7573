import { Button, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { usePay } from '../api/payment';
import type { Escrow } from '../api/wire';
import { useAuth, type User } from '../contexts/AuthContext';
import type { Action, Verb } from '../escrow/action';
import { askFor } from '../escrow/ask';
import { formatMoney } from '../escrow/money';
import { t } from '../words';
import classes from './Actions.module.css';
import { isAsked, isVerdict, useDialog } from './Dialogs';
import { FaultAlert } from './FaultAlert';

interface Props {
  escrow: Escrow;
  actions: Action[];
  size?: 'sm' | 'md';
}

/** Never the button that stands out. */
const REJECTIONS = new Set<Verb>(['cancel', 'dispute', 'override', 'refund']);

/** The buttons for what the user may do now, each of which opens a dialog. */
export function Actions({ escrow, actions, size = 'md' }: Props) {
  const { user } = useAuth();
  const open = useDialog();
  if (!user) return null;
  return (
    <div className={classes.actions} data-size={size}>
      {actions.map((action, index) =>
        action.verb === 'pay' ? (
          <PayButton key="pay" escrow={escrow} />
        ) : (
          <Button
            key={action.verb}
            size={size}
            aria-label={nameOf(labelOf(escrow, action, user), action)}
            variant={index === 0 && !REJECTIONS.has(action.verb) ? 'filled' : 'default'}
            onClick={(event) => open(escrow, action, event.currentTarget)}
          >
            {labelOf(escrow, action, user)}
          </Button>
        ),
      )}
    </div>
  );
}

function PayButton({ escrow }: { escrow: Escrow }) {
  const { t } = useTranslation();
  const { pay, isPending, error } = usePay(escrow);
  const [problem, setProblem] = useState<Error | null>(null);
  return (
    <Stack gap="xs">
      <Button size="md" loading={isPending} onClick={() => void pay().catch(setProblem)}>
        {t('action.pay', { amount: formatMoney(escrow.amount_minor, escrow.currency) })}
      </Button>
      <FaultAlert error={error ?? problem} />
      <Text size="sm" c="dimmed">
        {t('action.heldSafely')}
      </Text>
    </Stack>
  );
}

/** A milestone's buttons name it, so that no two on the page are alike to who hears them. */
function nameOf(label: string, { milestone }: Action): string | undefined {
  return milestone && `${label}: ${milestone.title}`;
}

function labelOf(escrow: Escrow, action: Action, user: User): string {
  if (isVerdict(action)) return t(action.verb === 'resolve' ? 'action.decide' : 'action.decideAnew');
  return isAsked(action) ? askFor(action.verb, escrow, action, user.user_id).label : '';
}

import { Button, Stack, Text } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { usePay } from '../api/payment';
import type { Escrow } from '../api/wire';
import { useAuth, type User } from '../contexts/AuthContext';
import type { Action, Verb } from '../escrow/action';
import { askFor, type AskedVerb } from '../escrow/ask';
import { formatMoney } from '../escrow/money';
import { ActionDialog } from './ActionDialog';
import classes from './Actions.module.css';
import { FaultAlert } from './FaultAlert';
import { ResolveDialog, type Verdict } from './ResolveDialog';

interface Props {
  escrow: Escrow;
  actions: Action[];
  size?: 'sm' | 'md';
}

/** Never the button that stands out. */
const REJECTIONS = new Set<Verb>(['cancel', 'dispute', 'override', 'refund']);

/** The buttons for what the user may do now, and the dialog that one of them opens. */
export function Actions({ escrow, actions, size = 'md' }: Props) {
  const [opened, setOpened] = useState<Action | null>(null);
  const { user } = useAuth();
  const close = () => setOpened(null);
  const opener = useFocusReturn(opened !== null);
  if (!user) return null;
  return (
    <>
      <div className={classes.actions} data-size={size}>
        {actions.map((action, index) =>
          action.verb === 'pay' ? (
            <PayButton key="pay" escrow={escrow} />
          ) : (
            <Button
              key={action.verb}
              size={size}
              variant={index === 0 && !REJECTIONS.has(action.verb) ? 'filled' : 'default'}
              onClick={(event) => {
                opener.current = event.currentTarget;
                setOpened(action);
              }}
            >
              {labelOf(escrow, action, user)}
            </Button>
          ),
        )}
      </div>
      {opened && isAsked(opened) && (
        <ActionDialog
          key={opened.verb}
          escrow={escrow}
          user={user}
          action={opened}
          onClose={close}
        />
      )}
      {opened && isVerdict(opened) && (
        <ResolveDialog escrow={escrow} action={opened} onClose={close} />
      )}
    </>
  );
}

/** After a dialog, moves the focus back to its button, or to the page if the button is gone. */
function useFocusReturn(isOpen: boolean) {
  const opener = useRef<HTMLElement>(null);
  useEffect(() => {
    if (isOpen || !opener.current) return;
    const target = opener.current.isConnected ? opener.current : document.querySelector('main');
    opener.current = null;
    target?.focus({ preventScroll: true });
  }, [isOpen]);
  return opener;
}

function PayButton({ escrow }: { escrow: Escrow }) {
  const { pay, isPending, error } = usePay(escrow);
  const [problem, setProblem] = useState<Error | null>(null);
  return (
    <Stack gap="xs">
      <Button size="md" loading={isPending} onClick={() => void pay().catch(setProblem)}>
        Pay {formatMoney(escrow.amount_minor, escrow.currency)}
      </Button>
      <FaultAlert error={error ?? problem} />
      <Text size="sm" c="dimmed">
        Held safely until you are content.
      </Text>
    </Stack>
  );
}

function isVerdict(action: Action): action is Action & { verb: Verdict } {
  return action.verb === 'resolve' || action.verb === 'override';
}

function isAsked(action: Action): action is Action & { verb: AskedVerb } {
  return action.verb !== 'pay' && !isVerdict(action);
}

function labelOf(escrow: Escrow, action: Action, user: User): string {
  if (isVerdict(action)) return action.verb === 'resolve' ? 'Decide' : 'Decide anew';
  return isAsked(action) ? askFor(action.verb, escrow, action, user.user_id).label : 'Pay';
}

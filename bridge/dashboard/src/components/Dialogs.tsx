import { createContext, Suspense, use, useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import { useLocation } from 'react-router';
import { usePeople } from '../api/name';
import { useEscrow } from '../api/query';
import type { Escrow } from '../api/wire';
import { useAuth } from '../contexts/AuthContext';
import type { Action } from '../escrow/action';
import type { AskedVerb } from '../escrow/ask';
import { ActionDialog, ResolveDialog } from '../pages/pages';
import type { Verdict } from './ResolveDialog';

type Open = (escrow: Escrow, action: Action, opener: HTMLElement) => void;

const Context = createContext<Open>(() => undefined);

/** Opens the dialog of an action. It stays open when the button goes, because the action has become moot. */
export function useDialog(): Open {
  return use(Context);
}

interface Opened {
  escrow: Escrow;
  action: Action;
  path: string;
}

/** The one dialog that may be open. Another page ends it. */
export function Dialogs({ children }: { children: ReactNode }) {
  const [opened, setOpened] = useState<Opened | null>(null);
  const { pathname } = useLocation();
  const isOpen = opened !== null && opened.path === pathname;
  const noteOpener = useFocusReturn(isOpen);
  const open = useCallback<Open>(
    (escrow, action, button) => {
      noteOpener(button);
      setOpened({ escrow, action, path: pathname });
    },
    [noteOpener, pathname],
  );
  return (
    <Context value={open}>
      {children}
      {isOpen && (
        <Suspense>
          <Dialog {...opened} onClose={() => setOpened(null)} />
        </Suspense>
      )}
    </Context>
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
  return useCallback((button: HTMLElement) => {
    opener.current = button;
  }, []);
}

function Dialog({ escrow, action, onClose }: Opened & { onClose: () => void }) {
  const { user } = useAuth();
  const { data = escrow } = useEscrow(escrow.escrow_id);
  usePeople([data.buyer_id, data.seller_id, data.arbiter_id]);
  if (!user) return null;
  if (isVerdict(action)) return <ResolveDialog escrow={data} action={action} onClose={onClose} />;
  return isAsked(action) ? (
    <ActionDialog escrow={data} user={user} action={action} onClose={onClose} />
  ) : null;
}

export function isVerdict(action: Action): action is Action & { verb: Verdict } {
  return action.verb === 'resolve' || action.verb === 'override';
}

export function isAsked(action: Action): action is Action & { verb: AskedVerb } {
  return action.verb !== 'pay' && !isVerdict(action);
}

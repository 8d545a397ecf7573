import { useEffect, useRef } from 'react';
import { useNavigate } from 'react-router';
import { useTotals } from '../api/list';
import { useStale } from '../components/useStale';
import { useAuth } from '../contexts/AuthContext';
import { turnOf } from '../escrow/action';
import { useEscrowUpdates } from '../hooks/useWebSocket';
import { EVERYTHING } from '../services/websocket';
import { outcomeWords } from './deed';
import { noticeStanding, noticeWords, showNotice, takeEvent } from './notice';
import { toast } from './toast';
import { setWaiting } from './waiting';

/** Calls the user to this tab: by its title, and by notifications while it is hidden. Shows nothing. */
export function Attention() {
  useWaitingInTitle();
  useNotices();
  return null;
}

function useWaitingInTitle(): void {
  const { data } = useTotals();
  const isStale = useStale(EVERYTHING);
  // Nobody is called upon by what may be over.
  const waiting = isStale ? 0 : (data?.waiting ?? 0);
  useEffect(() => {
    setWaiting(waiting);
    return () => setWaiting(0);
  }, [waiting]);
}

function useNotices(): void {
  const { user } = useAuth();
  const navigate = useNavigate();
  const waits = useRef(new Map<string, boolean>());
  useEscrowUpdates(EVERYTHING, (message) => {
    if (!user || !('data' in message) || !message.data) return;
    const { data } = message;
    const waitedBefore = waits.current.get(data.escrow_id) ?? false;
    waits.current.set(data.escrow_id, turnOf(data, user) !== '');
    if (message.type !== 'escrow_update') return;
    const outcome = outcomeWords(message.data);
    if (outcome) toast(outcome);
    if (noticeStanding() !== 'on') return;
    const text = noticeWords(message.data, user, waitedBefore);
    if (!text) return;
    const key = `${user.user_id} ${data.escrow_id} ${message.version}`;
    void takeEvent(key).then((isOurs) => {
      if (!isOurs || !document.hidden) return;
      showNotice(key, text, () => void navigate(`/escrows/${data.escrow_id}`));
    });
  });
}

/**
 * Notifications of the browser, for a page that nobody is looking at. Permission is asked for by a button
 * only, never on load.
 */
import { called } from '../escrow/person';
import type { EventData } from '../services/websocket';
import type { User } from '../contexts/AuthContext';
import { partOf, turnOf } from '../escrow/action';
import { formatMoney } from '../escrow/money';
import { t } from '../words';

const STORAGE_KEY = 'holdfast.notices';
/** A tab that is looked at goes first: what is seen there need not be told. */
const VISIBLE_FIRST_MS = 200;
/** How long an event is another tab's, so that one that hears late tells nobody again. */
const TAKEN_MS = 30_000;

export type Standing = 'unknown' | 'off' | 'on' | 'refused';

export function noticeStanding(): Standing {
  if (typeof Notification !== 'function') return 'unknown';
  if (Notification.permission === 'denied') return 'refused';
  return Notification.permission === 'granted' && isWanted() ? 'on' : 'off';
}

/** Asks the browser for permission; answers what came of it. */
export async function turnNoticesOn(): Promise<Standing> {
  if ((await Notification.requestPermission()) === 'granted') keep('on');
  return noticeStanding();
}

export function turnNoticesOff(): Standing {
  keep('off');
  return noticeStanding();
}

/** What to tell of an event; empty if it is the user's own, or does not call for them. */
export function noticeWords(event: EventData, user: User, waitedBefore: boolean): string {
  if (event.actor_id === user.user_id) return '';
  const part = partOf(event, user);
  const said = { title: event.title, buyer: called(event.buyer_id), seller: called(event.seller_id) };
  if (event.event_type === 'dispute_raised') {
    return t('feedback.notice.dispute', { ...said, who: called(event.actor_id ?? '') });
  }
  if (event.event_type === 'payment_captured' && part === 'seller') {
    const amount = formatMoney(event.amount_minor, event.currency);
    return t('feedback.notice.paid', { ...said, amount });
  }
  if (event.event_type === 'settlement_completed' && part === 'seller' && event.released_minor > 0) {
    const amount = formatMoney(event.released_minor, event.currency);
    return t('feedback.notice.paidOut', { ...said, amount });
  }
  const turn = turnOf(event, user);
  return turn && !waitedBefore ? t('feedback.notice.turn', { ...said, turn }) : '';
}

/** Whether this tab is the one that tells of an event: one of all tabs does. */
export async function takeEvent(key: string): Promise<boolean> {
  if (document.hidden) await pause(VISIBLE_FIRST_MS);
  // Old browsers and pages without HTTPS have no locks. There the notification's tag has to do.
  const locks = (navigator as { locks?: LockManager }).locks;
  if (!locks) return true;
  return new Promise((resolve) => {
    void locks.request(`holdfast.notice ${key}`, { ifAvailable: true }, async (lock) => {
      resolve(lock !== null);
      if (lock) await pause(TAKEN_MS);
    });
  });
}

export function showNotice(key: string, text: string, onClick: () => void): void {
  try {
    const notice = new Notification('Holdfast', { body: text, tag: key, icon: '/holdfast.svg' });
    notice.onclick = () => {
      window.focus();
      notice.close();
      onClick();
    };
  } catch {
    // Chrome on Android shows notifications of service workers only.
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// A browser may forbid storage. Then nothing is told.
function isWanted(): boolean {
  try {
    return localStorage.getItem(STORAGE_KEY) === 'on';
  } catch {
    return false;
  }
}

function keep(wish: 'on' | 'off'): void {
  try {
    localStorage.setItem(STORAGE_KEY, wish);
  } catch {
    // See isWanted.
  }
}

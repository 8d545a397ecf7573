/** Times on screen, in the reader's own time zone and language. What is now, the server says. */
import { now_ms as present_ms } from '../services/clock';
import { t } from '../words';
import { writeDate, writeDistance } from '../words/format';

const STEPS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const;

/** `just now`, `5 minutes ago`, `yesterday`; the date if it is more than a week ago. */
export function ago(time: string, now_ms: number = present_ms()): string {
  const elapsed_s = (Date.parse(time) - now_ms) / 1000;
  if (Number.isNaN(elapsed_s)) return '';
  if (Math.abs(elapsed_s) > 7 * 86_400) return dateOf(time);
  for (const [unit, length_s] of STEPS) {
    if (Math.abs(elapsed_s) >= length_s) {
      return writeDistance(Math.round(elapsed_s / length_s), unit);
    }
  }
  return t('time.now');
}

export function dateOf(time: string): string {
  return writeDate(time, { dateStyle: 'medium' });
}

/** `3 Dec`: for a place where there is no room for more. */
export function dayOf(time: string): string {
  return writeDate(time, { day: 'numeric', month: 'short' });
}

/** To the second, with the zone. */
export function clockTime(time: string): string {
  return writeDate(time, { dateStyle: 'medium', timeStyle: 'long' });
}

/** `Thu 3 Dec, 3:02 pm IST`; with the year if it is not the present one. */
export function moment(time: string, now_ms: number = present_ms()): string {
  const date = new Date(time);
  const isThisYear = date.getFullYear() === new Date(now_ms).getFullYear();
  const day = writeDate(time, {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: isThisYear ? undefined : 'numeric',
  });
  const clock = writeDate(time, {
    hour: 'numeric',
    minute: '2-digit',
    timeZoneName: 'short',
  });
  return `${day.replaceAll(',', '')}, ${clock}`;
}

/** `3 days`, `12 hours`, `90 seconds`. */
export function span(seconds: number): string {
  for (const [unit, length_s] of STEPS) {
    if (seconds >= length_s && seconds % length_s === 0) {
      return t(`time.span.${unit}`, { count: seconds / length_s });
    }
  }
  return t('time.span.second', { count: seconds });
}

/** Times on screen, in the reader's own time zone. What is now, the server says. */
import { now_ms as present_ms } from '../services/clock';

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** `just now`, `5 minutes ago`, `yesterday`; the date if it is more than a week ago. */
export function ago(time: string, now_ms: number = present_ms()): string {
  const elapsed_s = (Date.parse(time) - now_ms) / 1000;
  if (Number.isNaN(elapsed_s)) return '';
  if (Math.abs(elapsed_s) > 7 * 86_400) return dateOf(time);
  for (const [unit, length_s] of STEPS) {
    if (Math.abs(elapsed_s) >= length_s) {
      return relative.format(Math.round(elapsed_s / length_s), unit);
    }
  }
  return 'just now';
}

export function dateOf(time: string): string {
  return new Date(time).toLocaleDateString('en-IN', { dateStyle: 'medium' });
}

/** To the second, with the zone. */
export function clockTime(time: string): string {
  return new Date(time).toLocaleString('en-IN', { dateStyle: 'medium', timeStyle: 'long' });
}

/** `Thu 3 Dec, 3:02 pm IST`; with the year if it is not the present one. */
export function moment(time: string, now_ms: number = present_ms()): string {
  const date = new Date(time);
  const isThisYear = date.getFullYear() === new Date(now_ms).getFullYear();
  const day = date.toLocaleDateString('en-IN', {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: isThisYear ? undefined : 'numeric',
  });
  const clock = date.toLocaleTimeString('en-IN', {
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
      const count = seconds / length_s;
      return `${count} ${unit}${count === 1 ? '' : 's'}`;
    }
  }
  return `${seconds} seconds`;
}

/**
 * The browser's own writers of numbers and dates, each made once for a language: making one costs more
 * than a hundred uses of it, and a list has hundreds.
 */
import { locale } from './index';

const made = new Map<string, unknown>();

export function writeNumber(number: number, options: Intl.NumberFormatOptions): string {
  return writer('number', options, (tag) => new Intl.NumberFormat(tag, options)).format(number);
}

/** Empty if the time is none. */
export function writeDate(time: string, options: Intl.DateTimeFormatOptions): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return '';
  return writer('date', options, (tag) => new Intl.DateTimeFormat(tag, options)).format(date);
}

/** `5 minutes ago`, `yesterday`. */
export function writeDistance(count: number, unit: Intl.RelativeTimeFormatUnit): string {
  const options = { numeric: 'auto' } as const;
  return writer('distance', options, (tag) => new Intl.RelativeTimeFormat(tag, options)).format(count, unit);
}

function writer<T>(kind: string, options: object, make: (tag: string) => T): T {
  const tag = locale();
  const key = `${kind} ${tag} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, make(tag));
  return made.get(key) as T;
}

/**
 * People: as their ids are written, never in another case, because `Ravi` would be somebody else; and in
 * sentences by the names that have been heard of them.
 */
import { locale } from '../words';

/** By user id; empty for who has none. The session's, as the language is. */
const names = new Map<string, string>();
/** Who is written so, by id or by name, as people read it. */
const readers = new Map<string, Set<string>>();

/** Keeps what a person is called, for the sentences that are said from now on. */
export function hear(userId: string, name: string): void {
  names.set(userId, name);
  for (const written of [userId, name].map(asRead)) {
    readers.set(written, (readers.get(written) ?? new Set()).add(userId));
  }
}

/** Forgets all names: what one user may know, the next may not. */
export function forgetNames(): void {
  names.clear();
  readers.clear();
}

/**
 * What a sentence calls a person: the name, or else the id. Where the name reads like another one's, or
 * like another one's id, both.
 */
export function called(userId: string): string {
  const name = names.get(userId);
  if (!name) return userId;
  const isShared = (readers.get(asRead(name))?.size ?? 0) > 1;
  return isShared ? `${name} (${userId})` : name;
}

/** `asha and ravi`, as they are called. */
export function listOf(userIds: string[]): string {
  return new Intl.ListFormat(locale()).format(userIds.map(called));
}

/** Whether two ids look alike to people: they differ only in case. */
export function lookAlike(one: string, other: string): boolean {
  return asRead(one) === asRead(other);
}

function asRead(written: string): string {
  return written.normalize('NFKC').toLowerCase();
}

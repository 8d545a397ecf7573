/**
 * How people are called. Whoever is on a page is asked for in one call, and kept. A name that is not
 * there, or not yet, keeps nothing from being shown: the id stands in its place.
 */
import { useQueries, useQuery } from '@tanstack/react-query';
import { useAuth } from '../contexts/AuthContext';
import { keys } from './cache';
import { hear } from '../escrow/person';
import { request } from './http';

/** A name changes seldom; that there is none may change with the next escrow. */
const KNOWN_FRESH_MS = 300_000;
const NONE_FRESH_MS = 30_000;
/** People of one call, and characters of its address, of which a proxy may take 8,000. */
const PEOPLE_MAX = 100;
const QUERY_MAX = 6_000;

interface WireProfiles {
  profiles?: { user_id: string; display_name: string }[];
}

/** Who waits to be asked for, and the answer. */
interface Batch {
  userIds: string[];
  names: Promise<Map<string, string>>;
}

/** By token: what one user may know, another may not. */
const waiting = new Map<string | null, Batch>();

/** The name of a person; empty where there is none, or nobody has told it yet. */
export function useName(userId: string): string {
  const { token } = useAuth();
  return useQuery({ ...nameQuery(userId, token), enabled: userId !== '' }).data ?? '';
}

/** What the user is called: as others read it, or else as the login server has it, or else the id. */
export function useOwnName(): string {
  const { user } = useAuth();
  return useName(user?.user_id ?? '') || user?.name || user?.user_id || '';
}

/** Has what is below be said again when the names of these people come, which `called` then knows. */
export function usePeople(userIds: string[]): void {
  const { token } = useAuth();
  const queries = [...new Set(userIds)].filter((one) => one !== '').map((one) => nameQuery(one, token));
  useQueries({ queries });
}

function nameQuery(userId: string, token: string | null) {
  return {
    queryKey: keys.name(userId),
    queryFn: ({ signal }: { signal: AbortSignal }) => nameOf(userId, token, signal),
    staleTime: ({ state }: { state: { data?: string } }) => (state.data ? KNOWN_FRESH_MS : NONE_FRESH_MS),
  };
}

/** Asks for a name, in one call with all that are asked for at the same moment. */
async function nameOf(userId: string, token: string | null, signal: AbortSignal): Promise<string> {
  let batch = waiting.get(token);
  if (!batch || isFull([...batch.userIds, userId])) {
    const userIds: string[] = [];
    batch = { userIds, names: ask(userIds, token) };
    waiting.set(token, batch);
  }
  batch.userIds.push(userId);
  const name = (await batch.names).get(userId) ?? '';
  // Whoever has asked may have left, and somebody else be logged in.
  if (!signal.aborted) hear(userId, name);
  return name;
}

async function ask(userIds: string[], token: string | null): Promise<Map<string, string>> {
  await new Promise((resolve) => setTimeout(resolve));
  if (waiting.get(token)?.userIds === userIds) waiting.delete(token);
  const path = `/api/v1/profiles?${queryOf(userIds)}`;
  const { profiles = [] } = await request<WireProfiles>(path, { token });
  return new Map(profiles.map((one) => [one.user_id, one.display_name]));
}

function isFull(userIds: string[]): boolean {
  return userIds.length > PEOPLE_MAX || queryOf(userIds).length > QUERY_MAX;
}

function queryOf(userIds: string[]): string {
  return new URLSearchParams(userIds.map((one) => ['user_ids', one])).toString();
}

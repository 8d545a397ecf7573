/**
 * Calls that are made before the code is there which shows their answers: early.ts begins them, and the
 * first to ask the same takes the answer. Each is taken once, by who has the same token, and soon.
 *
 * Imports nothing that early.ts would have to carry.
 */
import { apiBase } from '../services/address';

/** An answer that nobody has asked for within this time may be old. */
const GOOD_FOR_MS = 15_000;
const CALL_LIMIT_MS = 20_000;

export interface Answer {
  status: number;
  isOk: boolean;
  /** What the JSON says; null if it is none. */
  body: unknown;
}

interface Begun {
  token: string;
  /** By `performance.now()`. */
  at_ms: number;
  answer: Promise<Answer>;
  /** The answer, once it is there. */
  come?: Answer;
}

declare global {
  /** By path. The first script and the page's code have no module in common. */
  var holdfastAhead: Map<string, Begun> | undefined;
}

/** Begins a call. If it fails, who asks for the same makes it again. */
export function callAhead(path: string, token: string): void {
  const begun: Begun = { token, at_ms: performance.now(), answer: get(apiBase() + path, token) };
  begun.answer.then(
    (answer) => {
      begun.come = answer;
    },
    () => undefined,
  );
  globalThis.holdfastAhead ??= new Map();
  globalThis.holdfastAhead.set(path, begun);
}

async function get(url: string, token: string): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}` };
  return answerOf(await fetch(url, { headers, signal: AbortSignal.timeout(CALL_LIMIT_MS) }));
}

export async function answerOf(response: Response): Promise<Answer> {
  const body: unknown = await response.json().catch(() => null);
  return { status: response.status, isOk: response.ok, body };
}

/** Whether the answer to a call is on its way, or there. */
export function isAhead(path: string, token: string | null): boolean {
  return find(path, token) !== undefined;
}

/** Takes an answer that is there, to show it at once; undefined if none is, or it is a refusal. */
export function shownAhead(path: string, token: string | null): unknown {
  const come = find(path, token)?.come;
  if (!come?.isOk) return undefined;
  globalThis.holdfastAhead?.delete(path);
  return come.body;
}

/** Takes an answer that may still be on its way; null if the call is to be made. */
export async function takeAhead(path: string, token: string | null): Promise<Answer | null> {
  const begun = find(path, token);
  globalThis.holdfastAhead?.delete(path);
  return (await begun?.answer.catch(() => null)) ?? null;
}

function find(path: string, token: string | null): Begun | undefined {
  const begun = globalThis.holdfastAhead?.get(path);
  return begun?.token === token && performance.now() - begun.at_ms < GOOD_FOR_MS ? begun : undefined;
}

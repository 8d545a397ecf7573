/** Calls to the JSON API. Every failure becomes a Fault with a sentence for people. */
import { apiBase } from '../services/address';
import { answerOf, takeAhead, type Answer } from './ahead';

const CALL_LIMIT_MS = 20_000;

export interface FieldFault {
  field: string;
  message: string;
}

/** A call that failed. */
export class Fault extends Error {
  constructor(
    message: string,
    readonly reason: string,
    readonly status: number,
    readonly fields: FieldFault[] = [],
  ) {
    super(message);
  }

  /** Whether the same call may succeed later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export interface ErrorBody {
  error?: { message?: string; reason?: string; code?: string; fields?: FieldFault[] };
}

export interface Call {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  token?: string | null;
  body?: unknown;
  /** Makes it safe to repeat a call that changes something. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

/** Throws Fault. */
export async function request<T>(path: string, call: Call = {}): Promise<T> {
  const isRead = (call.method ?? 'GET') === 'GET';
  const ahead = isRead ? await takeAhead(path, call.token ?? null) : null;
  const { isOk, status, body } = ahead ?? (await send(path, call));
  if (isOk) return body as T;
  throw asFault(status, body as ErrorBody | null);
}

async function send(path: string, call: Call): Promise<Answer> {
  const headers: Record<string, string> = {};
  if (call.token) headers.authorization = `Bearer ${call.token}`;
  if (call.body !== undefined) headers['content-type'] = 'application/json';
  if (call.idempotencyKey) headers['idempotency-key'] = call.idempotencyKey;
  const limit = AbortSignal.timeout(CALL_LIMIT_MS);
  let response: Response;
  try {
    response = await fetch(apiBase() + path, {
      method: call.method ?? 'GET',
      headers,
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      signal: call.signal ? AbortSignal.any([call.signal, limit]) : limit,
    });
  } catch (error) {
    if (call.signal?.aborted) throw error;
    throw unreachable();
  }
  return answerOf(response);
}

/** No answer came. */
export function unreachable(): Fault {
  return new Fault('The server cannot be reached. Try again in a moment.', 'UNREACHABLE', 0);
}

export function asFault(status: number, body: ErrorBody | null): Fault {
  const error = body?.error;
  const message =
    error?.message ?? `The server answered with status ${status} and no message. Try again in a moment.`;
  return new Fault(sentence(message), error?.reason ?? error?.code ?? '', status, error?.fields);
}

function sentence(text: string): string {
  // The first letter stays as it is: it may be that of a user id.
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

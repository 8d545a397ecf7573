/** The files of a dispute: sends them with their progress, and fetches them with the token. */
import { useQuery } from '@tanstack/react-query';
import { useAuth } from '../contexts/AuthContext';
import { fileName } from '../escrow/file';
import type { Attachment } from '../escrow/talk';
import { apiBase } from '../services/address';
import { keys } from './cache';
import { asFault, Fault, request, unreachable, type ErrorBody } from './http';

const FILE_LIMIT_MS = 300_000;

export interface Upload {
  escrowId: string;
  file: File;
  token: string | null;
  /** The same key with the same file gives the same answer again. */
  key: string;
  signal: AbortSignal;
  onProgress: (sent_bytes: number) => void;
}

/** Throws Fault. `fetch` cannot tell how much is sent; XMLHttpRequest can. */
export function upload({ escrowId, file, token, key, signal, onProgress }: Upload): Promise<Attachment> {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    const name = encodeURIComponent(fileName(file.name));
    call.open('POST', `${apiBase()}${filesPath(escrowId)}?name=${name}`);
    call.responseType = 'json';
    call.timeout = FILE_LIMIT_MS;
    call.setRequestHeader('authorization', `Bearer ${token ?? ''}`);
    call.setRequestHeader('content-type', file.type);
    call.setRequestHeader('idempotency-key', key);
    call.upload.onprogress = (event) => onProgress(event.loaded);
    call.onload = () => {
      const body = call.response as ({ attachment: Attachment } & ErrorBody) | null;
      if (call.status === 200 && body) resolve(body.attachment);
      else reject(asFault(call.status, body));
    };
    call.onerror = call.ontimeout = () => reject(unreachable());
    call.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    signal.addEventListener('abort', () => call.abort(), { once: true });
    call.send(file);
  });
}

/** Takes back a file that was not sent. What cannot be deleted now, the server deletes after a day. */
export async function forget(escrowId: string, fileId: string, token: string | null): Promise<void> {
  const path = `${filesPath(escrowId)}/${encodeURIComponent(fileId)}`;
  await request(path, { method: 'DELETE', token }).catch((error: unknown) => {
    if (!(error instanceof Fault)) throw error;
  });
}

/** The bytes of a file. They never change. */
export function useFile(escrowId: string, { file_id, content_type }: Attachment, isWanted = true) {
  const { token } = useAuth();
  return useQuery({
    queryKey: keys.file(escrowId, file_id),
    enabled: isWanted,
    staleTime: Infinity,
    queryFn: ({ signal }) => download(escrowId, file_id, { token, content_type, signal }),
  });
}

interface Download {
  token: string | null;
  content_type: string;
  signal?: AbortSignal;
}

/** Throws Fault. The type is the record's. */
export async function download(
  escrowId: string,
  fileId: string,
  { token, content_type, signal }: Download,
): Promise<Blob> {
  const limit = AbortSignal.timeout(FILE_LIMIT_MS);
  const answer = await fetch(`${apiBase()}${filesPath(escrowId)}/${encodeURIComponent(fileId)}`, {
    headers: { authorization: `Bearer ${token ?? ''}` },
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  }).catch((error: unknown) => {
    throw signal?.aborted ? error : unreachable();
  });
  if (!answer.ok) throw asFault(answer.status, (await answer.json().catch(() => null)) as ErrorBody);
  const bytes = await answer.arrayBuffer().catch(() => Promise.reject(unreachable()));
  return new Blob([bytes], { type: content_type });
}

/** Has the browser save the bytes under a name. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken it by the next turn of the loop.
  setTimeout(() => URL.revokeObjectURL(url));
}

function filesPath(escrowId: string): string {
  return `/api/v1/escrows/${encodeURIComponent(escrowId)}/attachments`;
}

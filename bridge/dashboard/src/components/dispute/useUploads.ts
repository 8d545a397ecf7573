/** Files on their way to the server. One that failed is sent again with the same key. */
import { useEffect, useRef, useState } from 'react';
import { useQueryClient } from '@tanstack/react-query';
import { upload } from '../../api/attachment';
import { keys } from '../../api/cache';
import { randomKey } from '../../api/command';
import { Fault } from '../../api/http';
import { useAuth } from '../../contexts/AuthContext';
import { fileProblem } from '../../escrow/file';
import type { Attachment } from '../../escrow/talk';

export interface Pending {
  key: string;
  file: File;
  sent_bytes: number;
  /** Why it was not sent; empty while it is on its way. */
  problem: string;
  /** Whether sending it again can help. */
  isPassing: boolean;
}

export function useUploads(escrowId: string, onDone: (file: Attachment) => void) {
  const { token } = useAuth();
  const client = useQueryClient();
  const [pending, setPending] = useState<Pending[]>([]);
  const controls = useRef(new Map<string, AbortController>());
  const drop = (key: string) => setPending((now) => now.filter((one) => one.key !== key));
  const change = (key: string, to: Partial<Pending>) =>
    setPending((now) => now.map((one) => (one.key === key ? { ...one, ...to } : one)));

  const send = async (key: string, file: File) => {
    const control = new AbortController();
    controls.current.set(key, control);
    const onProgress = (sent_bytes: number) => change(key, { sent_bytes });
    try {
      const done = await upload({ escrowId, file, token, key, signal: control.signal, onProgress });
      client.setQueryData(keys.file(escrowId, done.file_id), file);
      drop(key);
      onDone(done);
    } catch (error) {
      if (control.signal.aborted) return;
      const { message } = error as Error;
      change(key, { problem: message, isPassing: error instanceof Fault && error.isPassing });
    } finally {
      controls.current.delete(key);
    }
  };
  const add = (files: File[]) => {
    const fresh = files.map((file) => ({
      key: randomKey(),
      file,
      sent_bytes: 0,
      problem: fileProblem(file),
      isPassing: false,
    }));
    setPending((now) => [...now, ...fresh]);
    for (const one of fresh) if (!one.problem) void send(one.key, one.file);
  };
  const retry = (one: Pending) => {
    change(one.key, { problem: '', sent_bytes: 0 });
    void send(one.key, one.file);
  };
  const cancel = ({ key }: Pending) => {
    controls.current.get(key)?.abort();
    drop(key);
  };
  useEffect(() => {
    const running = controls.current;
    return () => running.forEach((one) => one.abort());
  }, []);
  useOnline(() => pending.filter((one) => one.isPassing && one.problem).forEach(retry));
  return { pending, add, retry, cancel };
}

/** Calls back when the network is there again. */
function useOnline(callback: () => void): void {
  const latest = useRef(callback);
  useEffect(() => {
    latest.current = callback;
  });
  useEffect(() => {
    const back = () => latest.current();
    window.addEventListener('online', back);
    return () => window.removeEventListener('online', back);
  }, []);
}

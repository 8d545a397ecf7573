/** What a user is about to say in a dispute. The tab keeps it, so that a reload loses nothing. */
import { useEffect, useRef, useState } from 'react';
import { randomKey } from '../../api/command';
import type { Attachment, Message } from '../../escrow/talk';

export interface Draft {
  text: string;
  /** Those that the server has. */
  files: Attachment[];
  /** What was sent and not answered yet. The same words are sent again with the same key. */
  attempt: Attempt | null;
}

interface Attempt {
  key: string;
  text: string;
  file_ids: string[];
  /** The newest message that was there before. */
  after_version: number;
}

const EMPTY: Draft = { text: '', files: [], attempt: null };

export function useDraft(escrowId: string, milestoneId: string, userId: string) {
  const place = `holdfast.dispute.${userId}.${escrowId}.${milestoneId}`;
  const [draft, setDraft] = useState(() => kept(place));
  useEffect(() => keep(place, draft), [place, draft]);
  const attempt = useRef(draft.attempt);

  /** Answers the attempt to send what is written, the earlier one if it is the same. */
  const attemptAt = (after_version: number): Attempt => {
    const text = draft.text.trim();
    const file_ids = draft.files.map((one) => one.file_id);
    const before = attempt.current;
    attempt.current =
      before && before.text === text && before.file_ids.join() === file_ids.join()
        ? before
        : { key: randomKey(), text, file_ids, after_version };
    setDraft((now) => ({ ...now, attempt: attempt.current }));
    return attempt.current;
  };
  const clear = () => {
    attempt.current = null;
    setDraft(EMPTY);
  };
  return { draft, setDraft, attemptAt, clear };
}

/** Whether the message of an attempt is among what was said, though its answer may be lost. */
export function hasArrived(attempt: Attempt | null, messages: Message[], userId: string): boolean {
  return (
    attempt !== null &&
    messages.some(
      (one) =>
        one.version > attempt.after_version &&
        one.author_id === userId &&
        one.text === attempt.text &&
        one.attachments.map((file) => file.file_id).join() === attempt.file_ids.join(),
    )
  );
}

function kept(place: string): Draft {
  try {
    const found = sessionStorage.getItem(place);
    return found === null ? EMPTY : (JSON.parse(found) as Draft);
  } catch {
    return EMPTY;
  }
}

function keep(place: string, draft: Draft): void {
  try {
    if (draft === EMPTY || (draft.text === '' && draft.files.length === 0)) {
      sessionStorage.removeItem(place);
    } else sessionStorage.setItem(place, JSON.stringify(draft));
  } catch {
    // A browser may forbid storage. Then the draft lasts as long as the page.
  }
}

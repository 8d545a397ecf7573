/** What was said in a dispute, read from the events of the record. */
import type { EventData, PieceData } from '../services/websocket';
import type { Escrow } from '../api/wire';

export interface Attachment {
  file_id: string;
  name: string;
  content_type: string;
  size_bytes: number;
  /** Of the bytes, in hexadecimal digits. */
  sha256: string;
}

export type Role = 'buyer' | 'seller' | 'arbiter' | 'admin';

/** What kind of a word it is: the complaint, a message, the end. */
export type Kind = 'raised' | 'message' | 'withdrawn' | 'resolved';

export interface Message {
  version: number;
  kind: Kind;
  author_id: string;
  role: Role;
  time: string;
  text: string;
  attachments: Attachment[];
}

const KINDS: Record<string, Kind> = {
  dispute_raised: 'raised',
  message_added: 'message',
  dispute_withdrawn: 'withdrawn',
  dispute_resolved: 'resolved',
};

/** The conversation about a piece, oldest first. A milestone's id is empty for the whole escrow. */
export function talkOf(escrow: Escrow, events: EventData[], milestoneId = ''): Message[] {
  return events.flatMap((event) => {
    const kind = KINDS[event.event_type];
    const isHere = (event.milestone_id ?? '') === milestoneId;
    return kind && isHere ? [messageOf(escrow, event, kind)] : [];
  });
}

/** The piece as it is now; the escrow itself where there are no milestones. */
export function pieceOf(escrow: Escrow, milestoneId = ''): PieceData {
  return escrow.milestones.find((one) => one.milestone_id === milestoneId) ?? escrow;
}

export function roleOf({ buyer_id, seller_id, arbiter_id }: Escrow, userId: string): Role {
  if (userId === buyer_id) return 'buyer';
  if (userId === seller_id) return 'seller';
  return userId === arbiter_id ? 'arbiter' : 'admin';
}

export function isPicture({ content_type }: Pick<Attachment, 'content_type'>): boolean {
  return content_type.startsWith('image/');
}

function messageOf(escrow: Escrow, event: EventData, kind: Kind): Message {
  const data = event.event_data ?? {};
  return {
    version: event.version,
    kind,
    author_id: event.actor_id ?? '',
    role: roleOf(escrow, event.actor_id ?? ''),
    time: event.time ?? '',
    text: [data.text, data.reason, data.note].find((one) => typeof one === 'string') ?? '',
    attachments: Array.isArray(data.attachments) ? (data.attachments as Attachment[]) : [],
  };
}

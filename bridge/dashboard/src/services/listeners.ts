/** Who hears of what. Handlers are called at once and in order, so that no frame is merged with another. */
import type {
  AuthenticatedFrame,
  ConnectedFrame,
  ErrorFrame,
  EscrowUpdateFrame,
  PaymentStatusFrame,
  PongFrame,
  ReconnectFrame,
  StatusChangeFrame,
  SubscribedFrame,
  UnsubscribedFrame,
} from './frames.js';

/** The connection is lost, refused, given up or closed. */
export interface DisconnectedMessage {
  type: 'disconnected';
  /** The close code; 1006 where no server sent one. */
  code: number;
  reason: string;
  /** Whether the service tries by itself to come back. */
  will_reconnect: boolean;
}

/** A further attempt is planned. */
export interface ReconnectingMessage {
  type: 'reconnecting';
  /** 1 for the first after a loss. */
  attempt: number;
  max_attempts: number;
  delay_ms: number;
}

export interface MessageMap {
  connected: ConnectedFrame;
  disconnected: DisconnectedMessage;
  reconnecting: ReconnectingMessage;
  error: ErrorFrame;
  subscribed: SubscribedFrame;
  unsubscribed: UnsubscribedFrame;
  payment_status: PaymentStatusFrame;
  status_change: StatusChangeFrame;
  escrow_update: EscrowUpdateFrame;
  pong: PongFrame;
  authenticated: AuthenticatedFrame;
  reconnect: ReconnectFrame;
}

export type Message = MessageMap[keyof MessageMap];
/** `*` hears everything. */
export type MessageType = keyof MessageMap | '*';
export type MessageOf<T extends MessageType> = T extends keyof MessageMap ? MessageMap[T] : Message;
export type Handler<T extends MessageType> = (message: MessageOf<T>) => void;

export class Listeners {
  readonly #handlers = new Map<string, Set<{ call: (message: Message) => void }>>();

  /** Adds a handler; the answer takes exactly this one away again, however often it was added. */
  add<T extends MessageType>(type: T, handler: Handler<T>): () => void {
    const entry = { call: handler as (message: Message) => void };
    const entries = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, entries.add(entry));
    return () => void entries.delete(entry);
  }

  /** Tells all; one that throws is reported and harms no other. */
  emit(message: Message): void {
    for (const type of [message.type, '*']) {
      for (const entry of [...(this.#handlers.get(type) ?? [])]) {
        try {
          entry.call(message);
        } catch (error) {
          report(error);
        }
      }
    }
  }
}

function report(error: unknown): void {
  // Thrown from a turn of its own it reaches whoever hears of uncaught errors, as it would from an event.
  queueMicrotask(() => {
    throw error;
  });
}

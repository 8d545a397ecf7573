/** Event handlers by message type, called synchronously and in order, so that no frame is skipped. */
import type {
  AuthenticatedFrame,
  ConnectedFrame,
  ErrorFrame,
  EscrowUpdateFrame,
  LiveFrame,
  PaymentStatusFrame,
  PongFrame,
  ReconnectFrame,
  StatusChangeFrame,
  SubscribedFrame,
  UnsubscribedFrame,
} from './frames.js';

/** The connection was lost, refused or closed, or the last attempt to reconnect has failed. */
export interface DisconnectedMessage {
  type: 'disconnected';
  /** The close code; 1006 if the server sent none. */
  code: number;
  reason: string;
  /** Whether the service will try to reconnect. */
  will_reconnect: boolean;
}

/** The next attempt to reconnect is planned. */
export interface ReconnectingMessage {
  type: 'reconnecting';
  /** 1 for the first after a loss. */
  attempt: number;
  /** The number of quick attempts. */
  max_attempts: number;
  /** Whether the quick attempts are used up, and slow ones follow. */
  is_slow: boolean;
  delay_ms: number;
}

export interface MessageMap {
  connected: ConnectedFrame;
  live: LiveFrame;
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
/** `*` is for handlers of all messages. */
export type MessageType = keyof MessageMap | '*';
export type MessageOf<T extends MessageType> = T extends keyof MessageMap ? MessageMap[T] : Message;
export type Handler<T extends MessageType> = (message: MessageOf<T>) => void;

export class Listeners {
  readonly #handlers = new Map<string, Set<{ call: (message: Message) => void }>>();

  /** Adds a handler; answers a function that removes it, even if it was added more than once. */
  add<T extends MessageType>(type: T, handler: Handler<T>): () => void {
    const entry = { call: handler as (message: Message) => void };
    const entries = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, entries.add(entry));
    return () => void entries.delete(entry);
  }

  /** Calls all handlers. An error of one is reported, and the others are still called. */
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
  // Thrown from a microtask, it becomes an uncaught error, as if a browser's event handler threw it.
  queueMicrotask(() => {
    throw error;
  });
}

/**
 * One connection, from its opening to its end. It never reconnects.
 *
 * It calls its owner for each frame, and exactly once for its end. A browser hides the server's
 * pings from a page. So the connection sends pings of its own, and ends when nothing answers.
 */
import { Pace } from './pace.js';
import { parseFrame, type ClientFrame, type ServerFrame } from './frames.js';

/** How long the bridge may take to send `connected`. */
const OPEN_LIMIT_MS = 10_000;
const PING_INTERVAL_S = 25;

/** The close code that browsers use when the server sent no close frame. */
export const ABNORMAL = 1006;

export interface ConnectionOwner {
  onFrame(frame: ServerFrame): void;
  onEnd(code: number, reason: string): void;
}

export class Connection {
  readonly ws: WebSocket;
  readonly #owner: ConnectionOwner;
  readonly #silence_ms: number;
  readonly #pace: Pace<ClientFrame>;
  #isEnded = false;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #pinger: ReturnType<typeof setInterval> | undefined;

  /** Sends the token as a subprotocol, so that it appears in no address and no log. */
  constructor(address: string, token: string, silence_ms: number, owner: ConnectionOwner) {
    this.#owner = owner;
    this.#silence_ms = silence_ms;
    this.ws = new WebSocket(address, ['bearer', token]);
    this.#pace = new Pace((frame) => this.ws.send(JSON.stringify(frame)));
    this.ws.onmessage = (event: MessageEvent) => this.#receive(event.data);
    // A close event follows every error event, and says more.
    this.ws.onerror = () => undefined;
    this.ws.onclose = (event: CloseEvent) => this.#end(event.code, event.reason);
    this.#expectWithin(OPEN_LIMIT_MS, 'The server did not answer.');
  }

  get isOpen(): boolean {
    return !this.#isEnded && this.ws.readyState === WebSocket.OPEN;
  }

  /** Sends a frame as soon as the limits allow. Does nothing if the connection is not open. */
  send(frame: ClientFrame): void {
    if (!this.isOpen) return;
    try {
      this.#pace.push(frame);
    } catch (error) {
      this.drop(String(error));
    }
  }

  /** Sends a ping, and ends the connection if no frame comes in time. */
  probe(): void {
    if (!this.isOpen) return;
    this.send({ type: 'ping' });
    if (this.#deadline !== undefined) return;
    this.#expectWithin(this.#silence_ms, 'The server stopped answering.');
  }

  /** Ends it without calling the owner. */
  close(): void {
    this.#stop();
    this.#closeSocket();
  }

  /** Ends it and calls the owner at once, however long the socket takes to close. */
  drop(reason: string): void {
    if (this.#isEnded) return;
    this.#stop();
    this.#closeSocket();
    this.#owner.onEnd(ABNORMAL, reason);
  }

  /** Closes a socket that is still opening once it is open: browsers log an error otherwise. */
  #closeSocket(): void {
    if (this.ws.readyState === WebSocket.CONNECTING) this.ws.onopen = () => this.ws.close(1000);
    else this.ws.close(1000);
  }

  #receive(data: unknown): void {
    if (this.#isEnded) return;
    const frame = parseFrame(data);
    if (!frame) return;
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    if (frame.type === 'connected') this.#beat(frame.ping_interval);
    this.#owner.onFrame(frame);
  }

  #beat(interval_s: number): void {
    clearInterval(this.#pinger);
    const every_s = interval_s > 0 ? interval_s : PING_INTERVAL_S;
    this.#pinger = setInterval(() => this.probe(), every_s * 1000);
  }

  #expectWithin(limit_ms: number, complaint: string): void {
    this.#deadline = setTimeout(() => this.drop(complaint), limit_ms);
  }

  #end(code: number, reason: string): void {
    if (this.#isEnded) return;
    this.#stop();
    this.#owner.onEnd(code, reason);
  }

  #stop(): void {
    this.#isEnded = true;
    this.#pace.stop();
    clearTimeout(this.#deadline);
    clearInterval(this.#pinger);
  }
}

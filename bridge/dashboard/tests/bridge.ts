/**
 * A bridge for tests: a real HTTP and WebSocket server that keeps its escrows in memory.
 *
 * If HOLDFAST_URL is set, `open()` answers the real bridge at that address. The tests use both in
 * the same way, through `user`, `create` and `publish`. Only `FakeBridge` can misbehave: cut the
 * connection, close it with a code, or stop answering.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket as Socket } from 'ws';
import { data, frames, Record as Escrows, type Claims, type Event } from './record';

const LIVE_URL = process.env.HOLDFAST_URL;
export const isLive = LIVE_URL !== undefined;

/** Whose a connection is, and until when. */
interface Identity extends Claims {
  timers: ReturnType<typeof setTimeout>[];
}

interface Frame {
  type: string;
  id?: string;
  escrow_id?: string;
  after?: number;
  token?: string;
}

export class Bridge {
  constructor(readonly url: string) {}

  get address(): string {
    return `${this.url.replace('http', 'ws')}/api/v1/ws`;
  }

  async user(name: string, roles = ['user']): Promise<string> {
    const body = await this.#post('/api/v1/demo/token', { user_id: name, roles });
    return body.token as string;
  }

  /** Makes an escrow, at version 1. */
  async create(buyer: string, seller: string): Promise<string> {
    const body = await this.#post(
      '/api/v1/escrows',
      {
        buyer_id: buyer,
        seller_id: seller,
        title: 'a test',
        amount: { amount_minor: '10000', currency: 'INR' },
      },
      await this.user(buyer),
    );
    return (body.escrow as { escrow_id: string }).escrow_id;
  }

  /** Makes the next event of an escrow. */
  async publish(escrowId: string): Promise<void> {
    const token = await this.user('backoffice', ['service']);
    await this.#post(
      `/api/v1/escrows/${escrowId}:publishUpdate`,
      { event_type: 'note', data: {} },
      token,
    );
  }

  /** Ends an escrow that is not paid. */
  async cancel(escrowId: string, buyer: string): Promise<void> {
    await this.#post(`/api/v1/escrows/${escrowId}:cancel`, {}, await this.user(buyer));
  }

  async close(): Promise<void> {}

  async #post(path: string, body: unknown, token = ''): Promise<Record<string, unknown>> {
    const answer = await fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  }
}

/** The bridge that HOLDFAST_URL names, or a stand-in on a free port. */
export async function open(): Promise<Bridge> {
  return LIVE_URL === undefined ? FakeBridge.start() : new Bridge(LIVE_URL);
}

const FRAMES_PER_S = 20;
const FRAMES_BURST = 40;
const SUBSCRIPTIONS_MAX = 200;

/**
 * It must never be kinder than the real bridge: what it sends of its own accord, and what it takes, is
 * what the real one does. The tests against any bridge hold both to the same.
 */
export class FakeBridge extends Bridge {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #escrows = new Escrows();
  readonly #watching = new Map<Socket, Set<string>>();
  readonly #allowances = new Map<Socket, { left: number; at: number }>();
  readonly #identities = new Map<Socket, Identity>();
  #made = 0;
  /** Every frame that came from a client. */
  readonly heard: Frame[] = [];
  /** The subprotocols and the path of every handshake. */
  readonly handshakes: { protocols: string | undefined; url: string | undefined }[] = [];
  isSilent = false;
  refuseWith: number | null = null;
  pingInterval_s = 25;
  /** How far the server's clock is ahead of this device's. */
  ahead_s = 0;
  /** How long before the end of a token its connection is told. */
  notice_s = 30;
  /** Tokens that are refused, as revoked ones are. */
  readonly refused = new Set<string>();
  /** Whether the keys are away, so that no token can be checked. */
  isKeyless = false;
  /** Whether a subscribe is kept until `answer`, as by a bridge whose core is slow. */
  isWithholding = false;
  readonly #withheld = new Map<string, () => void>();
  /** The answer to the next subscribe, in place of the usual one. */
  nextError: { code: string; message: string; retry: boolean } | null = null;

  private constructor(server: Server) {
    super(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    this.#server = server;
    server.on('request', (request, response) => void this.#serve(request, response));
    this.#sockets = new WebSocketServer({ server, handleProtocols: () => 'bearer' });
    this.#sockets.on('connection', (socket, request) => this.#welcome(socket, request));
  }

  static async start(): Promise<FakeBridge> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FakeBridge(server);
  }

  get connections(): number {
    return this.#sockets.clients.size;
  }

  /** Ends every connection: with a close code, or without one, as a failing network does. */
  cut(code?: number): void {
    for (const socket of this.#sockets.clients) {
      if (code === undefined) socket.terminate();
      else socket.close(code);
    }
  }

  /** Sends a frame to every connection. */
  tell(frame: object): void {
    for (const socket of this.#sockets.clients) send(socket, frame);
  }

  /** Answers the newest subscribe that was withheld. */
  answer(escrowId: string): void {
    const answer = this.#withheld.get(escrowId);
    if (!answer) throw new Error(`nobody has asked for ${escrowId}`);
    this.#withheld.delete(escrowId);
    answer();
  }

  /** Makes events. With `isQuiet` no frames are sent, as if it happened while the client was away. */
  advance(escrowId: string, type = 'note', status?: string, isQuiet = false): void {
    const event = this.#escrows.advance(escrowId, type, status);
    if (!isQuiet) this.#deliver(event);
  }

  add(escrowId: string, parties: string[], isQuiet = false): void {
    const event = this.#escrows.add(escrowId, parties);
    if (!isQuiet) this.#deliver(event);
  }

  /** Goes back to an older state, as when core's database is restored from a backup. */
  restore(position: number): void {
    this.#escrows.restore(position);
  }

  get position(): number {
    return this.#escrows.position;
  }

  /** A unique token that is valid for so long. */
  token(user: string, ttl_s = 3600, roles = ['user']): string {
    this.#made += 1;
    const jti = this.#made;
    const claims = { sub: user, jti, exp: Math.floor(this.now_s) + ttl_s, roles };
    return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.signature`;
  }

  /** The server's time. */
  get now_s(): number {
    return Date.now() / 1000 + this.ahead_s;
  }

  override async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Each event once to each connection: its own subscription is first, as mostly in the real bridge. */
  #deliver(event: Event): void {
    for (const [socket, ids] of this.#watching) {
      const isOwn = ids.has(event.escrow_id);
      if (!isOwn && !(ids.has('*') && this.#maySee(socket, event.escrow_id))) continue;
      for (const frame of frames(event, !isOwn)) send(socket, frame);
    }
  }

  #maySee(socket: Socket, escrowId: string): boolean {
    const identity = this.#identities.get(socket);
    return identity !== undefined && this.#escrows.concerns(identity, escrowId);
  }

  /** Tells every client whether events arrive. */
  tellLive(live: boolean): void {
    const frame = live ? { live } : { live, reason: 'Core cannot be reached.' };
    for (const socket of this.#sockets.clients) send(socket, { type: 'live', ...frame });
  }

  #welcome(socket: Socket, request: IncomingMessage): void {
    const protocols = request.headers['sec-websocket-protocol'];
    this.handshakes.push({ protocols, url: request.url });
    if (this.refuseWith !== null) return socket.close(this.refuseWith);
    const token = protocols?.split(/,\s*/)[1] ?? '';
    const claims = this.#check(token);
    if (!claims) return socket.close(4401, 'The token is missing, invalid or expired.');
    this.#identify(socket, claims);
    this.#watching.set(socket, new Set());
    socket.on('close', () => {
      this.#watching.delete(socket);
      this.#identities.get(socket)?.timers.forEach(clearTimeout);
    });
    socket.on('message', (data) => this.#hear(socket, JSON.parse((data as Buffer).toString()) as Frame));
    const { sub: user_id, exp: expires_at } = claims;
    const time = Math.floor(this.now_s);
    const ping_interval = this.pingInterval_s;
    send(socket, { type: 'connected', user_id, expires_at, time, ping_interval });
  }

  /** Answers what a token says; null if it is expired or refused. */
  #check(token: string): Claims | null {
    const claims = JSON.parse(atob(token.split('.')[1] ?? '')) as Claims;
    return claims.exp <= this.now_s || this.refused.has(token) ? null : claims;
  }

  /** Tells the connection when its token is about to expire, and ends it when it has. */
  #identify(socket: Socket, claims: Claims): void {
    this.#identities.get(socket)?.timers.forEach(clearTimeout);
    const left_ms = (claims.exp - this.now_s) * 1000;
    const code = 'TOKEN_EXPIRING';
    const tell = () => send(socket, { type: 'error', code, message: 'Soon.', retry: true });
    const timers = [
      setTimeout(tell, Math.max(0, left_ms - this.notice_s * 1000)),
      setTimeout(() => socket.close(4401), left_ms),
    ];
    this.#identities.set(socket, { ...claims, timers });
  }

  /** Whether a frame is within the rate that a browser may send. */
  #admits(socket: Socket): boolean {
    const now = performance.now();
    const { left, at } = this.#allowances.get(socket) ?? { left: FRAMES_BURST, at: now };
    const earned = ((now - at) / 1000) * FRAMES_PER_S;
    const next = Math.min(FRAMES_BURST, left + earned) - 1;
    this.#allowances.set(socket, { left: next, at: now });
    return next >= 0;
  }

  #authenticate(socket: Socket, token: string, id: string | undefined): void {
    const refuse = (code: string, retry: boolean) =>
      send(socket, { type: 'error', code, message: 'The previous token stays.', retry, id });
    if (this.isKeyless) return refuse('UNAVAILABLE', true);
    const claims = this.#check(token);
    if (!claims) return refuse('TOKEN_INVALID', false);
    if (claims.sub !== this.#identities.get(socket)?.sub) return refuse('USER_MISMATCH', false);
    this.#identify(socket, claims);
    send(socket, { type: 'authenticated', expires_at: claims.exp, id });
  }

  #hear(socket: Socket, frame: Frame): void {
    this.heard.push(frame);
    if (!this.#admits(socket)) return socket.close(4429);
    if (this.isSilent) return;
    const { id } = frame;
    if (frame.type === 'ping') send(socket, { type: 'pong', id });
    if (frame.type === 'auth') this.#authenticate(socket, frame.token ?? '', id);
    if (frame.type === 'subscribe') {
      const answer = () => this.#subscribe(socket, frame);
      if (this.isWithholding) this.#withheld.set(frame.escrow_id ?? '', answer);
      else answer();
    }
    if (frame.type === 'unsubscribe') {
      this.#watching.get(socket)?.delete(frame.escrow_id ?? '');
      send(socket, { type: 'unsubscribed', escrow_id: frame.escrow_id, id });
    }
  }

  #subscribe(socket: Socket, { escrow_id = '', after, id }: Frame): void {
    const refuse = (code: string, message: string, retry = false) =>
      send(socket, { type: 'error', code, message, retry, escrow_id, id });
    if (this.nextError) {
      const { code, message, retry } = this.nextError;
      this.nextError = null;
      return refuse(code, message, retry);
    }
    const watching = this.#watching.get(socket) ?? new Set();
    if (watching.size >= SUBSCRIPTIONS_MAX && !watching.has(escrow_id)) {
      return refuse('TOO_MANY_SUBSCRIPTIONS', 'Unsubscribe from one first.');
    }
    // A repeated subscribe is answered from memory: nothing is compared, and nothing sent again.
    const since = watching.has(escrow_id) ? undefined : after;
    if (escrow_id === '*') {
      if (since !== undefined && since > this.position) {
        return refuse('POSITION_UNKNOWN', 'There is no such position.');
      }
      this.#sendAll(socket, since, watching);
      const { position } = this;
      send(socket, { type: 'subscribed', escrow_id, position, id });
    } else {
      if (!this.#maySee(socket, escrow_id)) return refuse('ESCROW_NOT_FOUND', 'There is no such escrow.');
      const events = this.#escrows.events(escrow_id);
      for (const event of since === undefined ? [] : events.slice(since)) {
        for (const frame of frames(event, false)) send(socket, frame);
      }
      send(socket, { ...this.#snapshot(escrow_id), id });
    }
    watching.add(escrow_id);
  }

  /** What `*` begins with: the events after a position, or a snapshot of each open escrow. */
  #sendAll(socket: Socket, after: number | undefined, watching: Set<string>): void {
    const identity = this.#identities.get(socket);
    if (!identity || watching.has('*')) return;
    const { position } = this;
    if (after === undefined) {
      for (const id of this.#escrows.shown(identity)) send(socket, { ...this.#snapshot(id), position });
      return;
    }
    for (const event of this.#escrows.since(identity, after)) {
      if (watching.has(event.escrow_id)) continue; // Its own subscription has sent it.
      for (const frame of frames(event, true)) send(socket, frame);
    }
  }

  #snapshot(escrow_id: string): object {
    const newest = this.#escrows.events(escrow_id).at(-1);
    if (!newest) throw new Error(`there is no ${escrow_id}`);
    return { type: 'subscribed', escrow_id, version: newest.version, data: data(newest) };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
    const answer = this.#answer(request.url ?? '', body);
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? {}));
  }

  #answer(path: string, body: Record<string, unknown>): object | null {
    if (path === '/api/v1/demo/token') {
      return { token: this.token(String(body.user_id), 3600, body.roles as string[]) };
    }
    if (path === '/api/v1/escrows') {
      const escrow_id = `escrow-${++this.#made}`;
      this.add(escrow_id, [String(body.buyer_id), String(body.seller_id)]);
      return { escrow: { escrow_id } };
    }
    const [, escrow_id, verb] = /^\/api\/v1\/escrows\/(.+):(publishUpdate|cancel)$/.exec(path) ?? [];
    if (escrow_id === undefined) return null;
    if (verb === 'cancel') this.advance(escrow_id, 'escrow_cancelled', 'CANCELLED');
    else this.advance(escrow_id);
    return { escrow: { escrow_id } };
  }
}

function send(socket: Socket, frame: object): void {
  socket.send(JSON.stringify(frame));
}

/**
 * The tabs of one browser: one of them renews a user's token for all, and a new one asks the others.
 *
 * Tabs talk over a BroadcastChannel and take turns by a Web Lock. Where a browser has no locks, as on
 * a page without HTTPS, each tab renews for itself and still tells the others; without a channel no
 * tab knows of the others. What another tab says is only a candidate: the bridge decides.
 */
import { claimsOf } from './claims.js';
import { hasPage } from './page.js';

const CHANNEL = 'holdfast.tabs';
/** How long other tabs may take to answer. */
const ANSWER_MS = 150;
/** How long a tab keeps its turn after a renewal, so that those who wait hear of it first. */
const HEARD_MS = 100;

type Word =
  /** Asks the other tabs for their tokens. */
  | { say: 'who' }
  /** Answers that. */
  | { say: 'here'; token: string }
  | { say: 'fresh'; token: string }
  /** A user has logged out. */
  | { say: 'left'; user: string };

interface Terms {
  mayAsk: boolean;
  patience_ms: number;
  signal: AbortSignal;
}

export interface TabsOwner {
  /** The token to give to another tab; null if this one has none that is good. */
  readonly token: string | null;
  /** Another tab has got a fresh token, of this or another user. */
  hear(token: string): void;
  /** The user has logged out in another tab. */
  left(): void;
}

export class Tabs {
  readonly #owner: TabsOwner;
  #channel: BroadcastChannel | null = null;
  #user: string | null = null;
  readonly #answers = new Set<(token: string) => void>();

  constructor(owner: TabsOwner) {
    this.#owner = owner;
  }

  /** Listens to the other tabs on behalf of a token's user. May be repeated. */
  join(token: string): void {
    this.#user = claimsOf(token)?.sub ?? null;
    this.#channel ??= openChannel();
    if (this.#channel) this.#channel.onmessage = (event) => this.#hear(event.data as Word);
  }

  leave(): void {
    this.#channel?.close();
    this.#channel = null;
  }

  /** Tells the other tabs that the user has logged out. */
  tellLeft(): void {
    if (this.#user !== null) this.#say({ say: 'left', user: this.#user });
  }

  /**
   * Gets a fresh token when no other tab of the user does, or answers the one that another has got.
   * `mayAsk` says that a token of another tab that lasts longer is as good. A tab that keeps the others
   * waiting for longer than `patience_ms` is not waited for. Rejects when aborted.
   */
  async renew(
    inUse: string | null,
    { mayAsk, patience_ms, signal }: Terms,
    refresh: () => Promise<string>,
  ): Promise<string> {
    const locks = this.#channel && this.#user !== null ? lockManager() : null;
    if (!locks) return this.#tell(await refresh());
    return new Promise((resolve, reject) => {
      const waiting = new AbortController();
      const patience = setTimeout(() => waiting.abort(), patience_ms);
      signal.addEventListener('abort', () => waiting.abort(), { once: true });
      let hasTurn = false;
      const turn = async () => {
        hasTurn = true;
        clearTimeout(patience);
        const known = mayAsk ? await this.#longer(inUse) : null;
        signal.throwIfAborted();
        if (known !== null) return resolve(known);
        const asked = refresh().then((token) => this.#tell(token));
        // What comes after the limit counts too, but nobody waits for it.
        asked.then((token) => signal.aborted && this.#owner.hear(token), () => undefined);
        resolve(await unlessAborted(asked, signal));
        await pause(HEARD_MS);
      };
      locks
        .request(`holdfast.renewal ${this.#user}`, { signal: waiting.signal }, turn)
        .catch((error: unknown) => {
          if (hasTurn || signal.aborted) reject(asError(error));
          else refresh().then((token) => resolve(this.#tell(token)), reject);
        });
    });
  }

  /** A token of the same user that lasts longer; null if no other tab has one. */
  async #longer(inUse: string | null): Promise<string | null> {
    const own = claimsOf(inUse ?? '');
    const tokens = await this.#ask();
    return (
      tokens.find((token) => {
        const other = claimsOf(token);
        return own && other?.sub === own.sub && other.exp > own.exp;
      }) ?? null
    );
  }

  async #ask(): Promise<string[]> {
    const tokens: string[] = [];
    const note = (token: string) => tokens.push(token);
    this.#answers.add(note);
    this.#say({ say: 'who' });
    await pause(ANSWER_MS);
    this.#answers.delete(note);
    return tokens;
  }

  #tell(token: string): string {
    this.#say({ say: 'fresh', token });
    return token;
  }

  #say(word: Word): void {
    this.#channel?.postMessage(word);
  }

  #hear(word: Word): void {
    const { token } = this.#owner;
    if (word.say === 'who' && token !== null) this.#say({ say: 'here', token });
    if (word.say === 'here') for (const note of this.#answers) note(word.token);
    if (word.say === 'fresh') this.#owner.hear(word.token);
    if (word.say === 'left' && word.user === this.#user) this.#owner.left();
  }
}

/** Asks the other tabs for a token. Null if they have none, or those of several users. */
export async function tokenOfOtherTabs(): Promise<string | null> {
  const channel = openChannel();
  if (!channel) return null;
  const tokens: string[] = [];
  channel.onmessage = (event) => {
    const word = event.data as Word;
    if (word.say === 'here') tokens.push(word.token);
  };
  channel.postMessage({ say: 'who' } satisfies Word);
  await pause(ANSWER_MS);
  channel.close();
  const users = new Set(tokens.map((token) => claimsOf(token)?.sub));
  if (users.size !== 1 || users.has(undefined)) return null;
  const lasts = (token: string) => claimsOf(token)?.exp ?? 0;
  return tokens.reduce((one, other) => (lasts(other) > lasts(one) ? other : one));
}

function openChannel(): BroadcastChannel | null {
  return hasPage() && typeof BroadcastChannel === 'function' ? new BroadcastChannel(CHANNEL) : null;
}

function lockManager(): LockManager | null {
  // Old browsers and pages without HTTPS have none, whatever the types say.
  return (navigator as { locks?: LockManager }).locks ?? null;
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    promise.then(resolve, reject);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What a promise was rejected with keeps its own fields, such as `status`. */
function asError(error: unknown): Error {
  if (error instanceof Error) return error;
  return Object.assign(new Error(String(error)), typeof error === 'object' ? error : {});
}

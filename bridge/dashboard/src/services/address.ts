/**
 * The address of the bridge: `VITE_API_URL`, or the origin that served the page.
 *
 * People write that variable in many ways. Each either works for the JSON API and the socket alike, or
 * is refused at once with a sentence that says why: there is no page on which only one of them works.
 */

const SOCKET_PATH = '/api/v1/ws';
/** An address of the API or the socket stands for the bridge that serves it. */
const OWN_PATHS = /\/+(api\/v1(\/ws)?\/*)?$/;
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;
const HERE = /^(localhost|127(\.\d+){3}|\[::1\]|.*\.localhost)$/;

/** The base of the JSON API, without a trailing slash. Empty means same origin. Throws TypeError. */
export function apiBase(set: string = configured(), pageOrigin: string = ownOrigin()): string {
  const text = set.trim();
  return text === '' ? '' : baseOf(text, pageOrigin);
}

/** The socket's address: http becomes ws, and https wss. Throws TypeError. */
export function socketAddress(set: string = configured(), pageOrigin: string = ownOrigin()): string {
  const base = apiBase(set, pageOrigin) || pageOrigin;
  return base.replace(/^http/, 'ws') + SOCKET_PATH;
}

/** What is wrong with `VITE_API_URL`, as a sentence; empty if it can be used. */
export function addressProblem(): string {
  try {
    apiBase();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

function configured(): string {
  // Only Vite defines import.meta.env.
  const env = import.meta.env as Record<string, string | undefined> | undefined;
  return env?.VITE_API_URL ?? '';
}

function ownOrigin(): string {
  return typeof location === 'undefined' ? 'http://localhost:8000' : location.origin;
}

function baseOf(text: string, pageOrigin: string): string {
  const url = parse(text, pageOrigin);
  const scheme = url.protocol.replace('ws', 'http');
  if (scheme !== 'http:' && scheme !== 'https:') throw unusable(text, 'it must begin with https://');
  if (url.username || url.password) throw unusable(text, 'it must not hold a name or a password');
  if (url.search || url.hash) throw unusable(text, 'it must end with the path');
  if (scheme === 'http:' && pageOrigin.startsWith('https:') && !HERE.test(url.hostname)) {
    throw unusable(text, 'a page with https may only call https');
  }
  return `${scheme}//${url.host}${url.pathname.replace(OWN_PATHS, '')}`;
}

function parse(text: string, pageOrigin: string): URL {
  try {
    // A path is one of the page's own origin, and `//host` has the page's scheme.
    if (text.startsWith('/')) return new URL(text, pageOrigin);
    if (SCHEME.test(text)) return new URL(text);
    const url = new URL(`${new URL(pageOrigin).protocol}//${text}`);
    // A server on this machine seldom has a certificate.
    if (HERE.test(url.hostname)) url.protocol = 'http:';
    return url;
  } catch {
    throw unusable(text, 'it is not an address');
  }
}

function unusable(text: string, why: string): TypeError {
  return new TypeError(
    `VITE_API_URL is “${text}”, which cannot be used: ${why}. Write it like https://escrow.example.org.`,
  );
}

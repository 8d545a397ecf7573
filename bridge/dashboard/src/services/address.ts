/** The address of the bridge: `VITE_API_URL`, or the origin that served the page. */

const SOCKET_PATH = '/api/v1/ws';

/** The base of the JSON API, without a trailing slash. Empty means same origin. */
export function apiBase(): string {
  // Only Vite defines import.meta.env.
  const env = import.meta.env as Record<string, string | undefined> | undefined;
  return (env?.VITE_API_URL ?? '').replace(/\/+$/, '');
}

/** The socket's address: http becomes ws, and https wss. */
export function socketAddress(base: string = apiBase(), pageOrigin: string = ownOrigin()): string {
  const url = new URL(base || pageOrigin);
  const secure = url.protocol === 'https:' || url.protocol === 'wss:';
  const path = url.pathname.replace(/\/+$/, '');
  return `${secure ? 'wss' : 'ws'}://${url.host}${path}${SOCKET_PATH}`;
}

function ownOrigin(): string {
  return typeof location === 'undefined' ? 'http://localhost:8000' : location.origin;
}

/**
 * The page's first script, a small file of its own (build/early.ts): while the code for everything is on
 * its way, it asks for that of the page at this address, and for what the page will show.
 *
 * It begins no call for who is not logged in, and must do nothing that the page cannot do without it.
 */
import { callAhead } from './api/ahead';
import { readFilter } from './api/filter';
import { escrowPath, eventsPath, listPath, TOTALS_PATH } from './api/path';
import { claimsOf } from './services/claims';
import { TOKEN_KEY } from './services/kept';

/** What the build has named the files of all pages and of an escrow's page; set by build/early.ts. */
declare const FRAME_FILES: string[];
declare const ESCROW_FILES: string[];

function start(token: string): void {
  const claims = claimsOf(token);
  if (claims === null) return;
  const escrow = /^\/escrows\/([^/]+)\/?$/.exec(location.pathname)?.[1];
  FRAME_FILES.forEach(fetchCode);
  if (escrow !== undefined) {
    ESCROW_FILES.forEach(fetchCode);
    const id = decodeURIComponent(escrow);
    callAhead(escrowPath(id), token);
    callAhead(eventsPath(id), token);
  } else if (location.pathname === '/') {
    const user = { user_id: claims.sub, roles: claims.roles, expires_at: claims.exp };
    callAhead(listPath(readFilter(new URLSearchParams(location.search), user)), token);
    callAhead(TOTALS_PATH, token);
  }
}

function fetchCode(file: string): void {
  const link = document.createElement('link');
  link.rel = 'modulepreload';
  link.href = file;
  document.head.append(link);
}

try {
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (token !== null) start(token);
} catch (error) {
  // A browser that forbids storage, or an address that cannot be used: the page itself says so.
  console.debug(error);
}

/**
 * The pages behind the login and the list, each in a file that is fetched when it is first shown.
 *
 * Names no page's component but by `import()`: what is imported here is in the first load.
 */
import { lazy, type ComponentProps, type ComponentType } from 'react';
import type { ActionDialog as Action } from '../components/ActionDialog';
import type { ResolveDialog as Resolve } from '../components/ResolveDialog';

/** By then what the page itself needs is on its way. */
const FETCH_REST_AFTER_MS = 4_000;

const account = once(async () => ({
  default: (await import('../components/AccountMenu')).AccountMenu,
}));
const action = once(async () => ({ default: (await import('../components/ActionDialog')).ActionDialog }));
const resolve = once(async () => ({
  default: (await import('../components/ResolveDialog')).ResolveDialog,
}));
const create = once(async () => ({ default: (await import('./CreatePage')).CreatePage }));
const escrow = once(async () => ({ default: (await import('./EscrowPage')).EscrowPage }));
const operator = once(async () => ({
  default: (await import('./operator/OperatorPage')).OperatorPage,
}));
const rooms = once(async () => {
  startPageAt(location.pathname);
  return { default: (await import('./Rooms')).Rooms };
});
const settings = once(async () => ({ default: (await import('./SettingsPage')).SettingsPage }));

export const AccountMenu = lazy(account);
export const ActionDialog = lazy<ComponentType<ComponentProps<typeof Action>>>(action);
export const ResolveDialog = lazy<ComponentType<ComponentProps<typeof Resolve>>>(resolve);
export const CreatePage = lazy(create);
export const EscrowPage = lazy(escrow);
/** For administrators; nobody else fetches it. */
export const OperatorPage = lazy(operator);
export const Rooms = lazy(rooms);
export const SettingsPage = lazy(settings);

/** Fetches the dialogs of an escrow's page once it is shown: they open also while the server is away. */
export function fetchDialogs(): void {
  for (const part of [action, resolve]) start(part);
}

/** Fetches the other pages in time, so that they open also while the server is away. */
export function fetchAllPages(): () => void {
  const later = setTimeout(() => {
    for (const part of [account, escrow, action, resolve, create, settings]) start(part);
  }, FETCH_REST_AFTER_MS);
  return () => clearTimeout(later);
}

/** Fetches once; a fetch that failed is tried again at the next call. */
function once<Part>(fetch: () => Promise<Part>): () => Promise<Part> {
  let fetched: Promise<Part> | undefined;
  return () => {
    fetched ??= fetch().catch((error: unknown) => {
      fetched = undefined;
      throw error;
    });
    return fetched;
  };
}

/** Fetches the page beside the frame around it, not after it. */
function startPageAt(path: string): void {
  if (path.startsWith('/escrows/')) start(escrow);
}

/** Whoever shows it is told if it fails. */
function start(part: () => Promise<unknown>): void {
  part().catch(() => undefined);
}

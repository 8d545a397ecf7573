/**
 * The cache behind the pages. Escrows arrive from the JSON API and over the socket, in any order:
 * the newer version always wins.
 */
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import type { Escrow } from './wire';

export interface EscrowPage {
  escrows: Escrow[];
  next: string;
}

type Pages = InfiniteData<EscrowPage, string>;

export const keys = {
  lists: ['escrows'] as const,
  list: (status: string) => ['escrows', status] as const,
  escrow: (id: string) => ['escrow', id] as const,
  events: (id: string) => ['events', id] as const,
  payee: (userId: string) => ['payee', userId] as const,
  config: ['config'] as const,
  defaults: ['defaults'] as const,
};

/** Answers the newer of the two. */
export function newer(known: Escrow | undefined, incoming: Escrow): Escrow {
  return known && known.version > incoming.version ? known : incoming;
}

/** Updates an escrow in every list and page. Answers whether a list on screen lacks it. */
export function applyEscrow(client: QueryClient, incoming: Escrow): boolean {
  const page = keys.escrow(incoming.escrow_id);
  // A page that is still being fetched takes it too: the answer may be older than the event.
  if (client.getQueryState(page)) {
    client.setQueryData<Escrow>(page, (known) => newer(known, incoming));
  }
  let isMissing = false;
  for (const list of client.getQueryCache().findAll({ queryKey: keys.lists })) {
    const pages = list.state.data as Pages | undefined;
    const status = list.queryKey[1] as string;
    if (!pages) continue;
    if (isListed(pages, incoming.escrow_id)) client.setQueryData(list.queryKey, update(pages, incoming));
    else if (list.isActive() && (!status || status === incoming.status)) isMissing = true;
  }
  return isMissing;
}

function isListed(pages: Pages, escrowId: string): boolean {
  return pages.pages.some((page) => page.escrows.some((one) => one.escrow_id === escrowId));
}

function update(pages: Pages, incoming: Escrow): Pages {
  const replace = (known: Escrow) =>
    known.escrow_id === incoming.escrow_id ? newer(known, incoming) : known;
  return {
    ...pages,
    pages: pages.pages.map((page) => ({ ...page, escrows: page.escrows.map(replace) })),
  };
}

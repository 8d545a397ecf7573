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

/** Updates an escrow in every list and page. Answers whether a list has it. */
export function applyEscrow(client: QueryClient, incoming: Escrow): boolean {
  let isListed = false;
  const page = keys.escrow(incoming.escrow_id);
  // A page that is still being fetched takes it too: the answer may be older than the event.
  if (client.getQueryState(page)) {
    client.setQueryData<Escrow>(page, (known) => newer(known, incoming));
  }
  client.setQueriesData<Pages>({ queryKey: keys.lists }, (pages) => {
    if (!pages) return pages;
    return {
      ...pages,
      pages: pages.pages.map((page) => ({
        ...page,
        escrows: page.escrows.map((known) => {
          if (known.escrow_id !== incoming.escrow_id) return known;
          isListed = true;
          return newer(known, incoming);
        }),
      })),
    };
  });
  return isListed;
}

/**
 * What the pages show, by version: what comes later over one way never loses to what is newer from another.
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
};

/** The newer of the two, with what only the older knows. */
export function newer(known: Escrow | undefined, incoming: Escrow): Escrow {
  if (!known) return incoming;
  return known.version > incoming.version ? known : { ...known, ...incoming };
}

/** Brings an escrow's news to every list and page. Answers whether the unfiltered list has it. */
export function applyEscrow(client: QueryClient, incoming: Escrow): boolean {
  let isListed = false;
  client.setQueryData<Escrow>(keys.escrow(incoming.escrow_id), (known) =>
    known ? newer(known, incoming) : undefined,
  );
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

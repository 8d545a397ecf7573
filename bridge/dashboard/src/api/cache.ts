/**
 * The cache behind the pages. Escrows arrive from the JSON API and over the socket, in any order:
 * the newer version always wins.
 */
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import { mayMove, type Filter } from './filter';
import type { Escrow } from './wire';

export interface EscrowPage {
  escrows: Escrow[];
  next: string;
  /** Where it goes on: when the last escrow was made that was looked at; empty if that is not known. */
  reached: string;
}

type Pages = InfiniteData<EscrowPage, string>;

export const keys = {
  lists: ['escrows'] as const,
  list: (filter: Filter) => ['escrows', filter] as const,
  totals: ['totals'] as const,
  escrow: (id: string) => ['escrow', id] as const,
  events: (id: string) => ['events', id] as const,
  file: (escrowId: string, fileId: string) => ['file', escrowId, fileId] as const,
  payee: (userId: string) => ['payee', userId] as const,
  name: (userId: string) => ['name', userId] as const,
  config: ['config'] as const,
  defaults: ['defaults'] as const,
};

/** Answers the newer of the two. */
export function newer(known: Escrow | undefined, incoming: Escrow): Escrow {
  return known && known.version > incoming.version ? known : incoming;
}

/** What an event means for what is on screen. */
export interface Effect {
  /** The server has to say again what a list shows. */
  movesLists: boolean;
  /** The server has to add up again. */
  movesTotals: boolean;
}

/** Updates an escrow in every list and page, as it stands in them. `waits` is whether one waits for the user. */
export function applyEscrow(
  client: QueryClient,
  incoming: Escrow,
  waits: (escrow: Escrow) => boolean,
): Effect {
  const before = known(client, incoming.escrow_id);
  const isNews = !before || before.version < incoming.version;
  const page = keys.escrow(incoming.escrow_id);
  // A page that is still being fetched takes it too: the answer may be older than the event.
  if (client.getQueryState(page)) {
    client.setQueryData<Escrow>(page, (one) => newer(one, incoming));
  }
  let movesLists = false;
  for (const list of client.getQueryCache().findAll({ queryKey: keys.lists })) {
    const pages = list.state.data as Pages | undefined;
    if (!pages) {
      // The answer that is on its way may be older than the event.
      movesLists ||= list.isActive();
      continue;
    }
    const listed = listedIn(pages, incoming.escrow_id);
    if (listed && listed.version >= incoming.version) continue;
    if (listed) client.setQueryData(list.queryKey, update(pages, incoming));
    const filter = list.queryKey[1] as Filter;
    if (!list.isActive()) continue;
    if (listed ? mayMove(filter, listed, incoming, waits) : isNews) movesLists = true;
  }
  // What was fetched ahead of its event may be newer than the totals.
  const movesTotals =
    !before ||
    before.version === incoming.version || before.held_minor !== incoming.held_minor || waits(before) !== waits(incoming);
  return { movesLists, movesTotals };
}

/** The newest that is known of an escrow. */
export function known(client: QueryClient, escrowId: string): Escrow | undefined {
  let newest = client.getQueryData<Escrow>(keys.escrow(escrowId));
  for (const [, pages] of client.getQueriesData<Pages>({ queryKey: keys.lists })) {
    const listed = pages && listedIn(pages, escrowId);
    if (listed) newest = newer(newest, listed);
  }
  return newest;
}

function listedIn({ pages }: Pages, escrowId: string): Escrow | undefined {
  for (const { escrows } of pages) {
    const listed = escrows.find((one) => one.escrow_id === escrowId);
    if (listed) return listed;
  }
  return undefined;
}

function update(pages: Pages, incoming: Escrow): Pages {
  const replace = (known: Escrow) =>
    known.escrow_id === incoming.escrow_id ? newer(known, incoming) : known;
  return {
    ...pages,
    pages: pages.pages.map((page) => ({ ...page, escrows: page.escrows.map(replace) })),
  };
}

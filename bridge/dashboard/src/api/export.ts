/** All escrows of a filter, for a file. */
import type { Filter } from './filter';
import { fetchPage } from './list';
import type { Escrow } from './wire';

/** Rows of one file. More are for the API. */
export const EXPORT_MAX = 5_000;
const PAGE_SIZE = 200;

/** Answers up to EXPORT_MAX escrows in the order of the filter, and whether that is all. */
export async function fetchAll(
  filter: Filter,
  token: string | null,
): Promise<{ escrows: Escrow[]; isAll: boolean }> {
  const byId = new Map<string, Escrow>();
  let next = '';
  do {
    const page = await fetchPage(filter, next, PAGE_SIZE, { token });
    // One that has changed place between two pages may come twice.
    for (const one of page.escrows) byId.set(one.escrow_id, one);
    next = page.next;
  } while (next && byId.size < EXPORT_MAX);
  const escrows = [...byId.values()];
  return { escrows: escrows.slice(0, EXPORT_MAX), isAll: !next && escrows.length <= EXPORT_MAX };
}

import { useEffect } from 'react';
import { setTitle } from '../feedback/waiting';

/** Sets the title of the browser's tab. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    setTitle(`${title} · Holdfast`);
  }, [title]);
}

import { Suspense, useState } from 'react';
import { AccountMenu } from '../pages/pages';
import { AccountButton } from './AccountButton';

/** Who is logged in. The menu behind the name is fetched with the other pages, or when it is asked for. */
export function Account() {
  const [isAsked, setIsAsked] = useState(false);
  const button = <AccountButton aria-haspopup="menu" aria-expanded={false} onClick={() => setIsAsked(true)} />;
  return isAsked ? (
    <Suspense fallback={button}>
      <AccountMenu />
    </Suspense>
  ) : (
    button
  );
}

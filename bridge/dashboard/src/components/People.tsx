import { useTranslation } from 'react-i18next';
import type { Escrow } from '../api/wire';
import type { User } from '../contexts/AuthContext';
import { Person } from './Person';
import classes from './People.module.css';

/** Who buys from whom, and who decides, with their ids: for where money moves by one click. */
export function People({ escrow, user }: { escrow: Escrow; user: User }) {
  const { t } = useTranslation();
  const people = [
    { part: t('facts.buyer'), id: escrow.buyer_id },
    { part: t('facts.seller'), id: escrow.seller_id },
    { part: t('facts.arbiter'), id: escrow.arbiter_id },
  ].filter(({ id }) => id);
  return (
    <dl className={classes.people}>
      {people.map(({ part, id }) => (
        <div key={part}>
          <dt>{part}</dt>
          <dd>
            <Person id={id} isYou={id === user.user_id} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

import { Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { useName } from '../api/name';
import { initialsOf, toneOf } from '../escrow/initials';
import classes from './Person.module.css';

interface Props {
  id: string;
  /** Whether it is the reader. */
  isYou?: boolean;
}

/**
 * A person by name, with initials, and with the id: two people may have one name. Without a name the id
 * stands alone. Letters stay as they are typed.
 */
export function Person({ id, isYou = false }: Props) {
  const { t } = useTranslation();
  const name = useName(id);
  const shown = name || id;
  return (
    <span className={classes.person} data-person={id}>
      <Initials id={id} name={shown} />
      <span className={classes.words}>
        <bdi className={classes.name}>{isYou ? t('facts.you', { who: shown }) : shown}</bdi>
        {name !== '' && name !== id && (
          <Text component="bdi" size="sm" c="dimmed" className={classes.id}>
            {id}
          </Text>
        )}
      </span>
    </span>
  );
}

/** The round mark alone. It is a picture: a screen reader reads the name, and a copy has no letters of it. */
export function Initials({ id, name }: { id: string; name: string }) {
  return (
    <span className={classes.mark} data-initials={initialsOf(name)} data-tone={toneOf(id)} aria-hidden />
  );
}

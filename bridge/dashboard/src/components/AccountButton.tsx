import { Button, type ButtonProps } from '@mantine/core';
import type { ComponentProps } from 'react';
import { useTranslation } from 'react-i18next';
import { useOwnName } from '../api/name';
import { useAuth } from '../contexts/AuthContext';
import classes from './Frame.module.css';
import { Initials } from './Person';

/** The button with the user's name, in the head of every page. */
export function AccountButton(props: ButtonProps & ComponentProps<'button'>) {
  const { t } = useTranslation();
  const { user } = useAuth();
  const name = useOwnName();
  return (
    <Button
      variant="subtle"
      color="gray"
      px={8}
      aria-label={t('frame.account', { id: user?.user_id })}
      leftSection={<Initials id={user?.user_id ?? ''} name={name} />}
      classNames={{ root: classes.user, label: classes.userName }}
      {...props}
    >
      <bdi>{name}</bdi>
    </Button>
  );
}

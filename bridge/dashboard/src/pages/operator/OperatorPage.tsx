/** The operator's room. It only hides from others what core would refuse them anyway. */
import { Stack, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { Navigate, NavLink, useParams } from 'react-router';
import { useAuth } from '../../contexts/AuthContext';
import { MissingPage } from '../MissingPage';
import { usePageTitle } from '../title';
import { Attention } from './Attention';
import { Books } from './Books';
import { Lookup } from './Lookup';
import classes from './operator.module.css';
import { Payees } from './Payees';
import { Tokens } from './Tokens';
import { Webhooks } from './Webhooks';

const ROOMS = {
  attention: Attention,
  lookup: Lookup,
  payees: Payees,
  books: Books,
  tokens: Tokens,
  webhooks: Webhooks,
};
type Room = keyof typeof ROOMS;
const NAMES = Object.keys(ROOMS) as Room[];

export function OperatorPage() {
  const { t } = useTranslation();
  const { user } = useAuth();
  const { room } = useParams();
  const name = NAMES.find((one) => one === room);
  usePageTitle(t(name ? `operator.room.${name}` : 'operator.title'));
  if (!user?.roles.includes('admin')) return <MissingPage />;
  if (!room) return <Navigate to="/operator/attention" replace />;
  if (!name) return <MissingPage />;
  const Room = ROOMS[name];
  return (
    <Stack gap="lg">
      <Title order={1}>{t('operator.title')}</Title>
      <nav aria-label={t('operator.title')} className={classes.rooms}>
        {NAMES.map((one) => (
          <NavLink key={one} to={`/operator/${one}`}>
            {t(`operator.room.${one}`)}
          </NavLink>
        ))}
      </nav>
      <Room />
    </Stack>
  );
}

import { Menu } from '@mantine/core';
import { IconLifebuoy, IconLogout, IconSettings } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useOwnName } from '../api/name';
import { useAuth } from '../contexts/AuthContext';
import { wordsFor } from '../words';
import { AccountButton } from './AccountButton';

/** The button stands in the place of the one that was pressed, which had the focus. */
function takeFocus(button: HTMLButtonElement | null): void {
  button?.focus();
}

/** Opens at once: whoever shows it has been asked for it. */
export function AccountMenu() {
  const { t } = useTranslation();
  const { user, logout } = useAuth();
  const name = useOwnName();
  const [isOpen, setIsOpen] = useState(true);
  const roles = user?.roles.map((role) => wordsFor('frame.roles', role) ?? role);
  return (
    <Menu opened={isOpen} onChange={setIsOpen} position="bottom-end" width={220} withinPortal>
      <Menu.Target>
        <AccountButton ref={takeFocus} />
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label className="hf-words">
          {name !== user?.user_id && (
            <>
              <bdi>{name}</bdi> ·{' '}
            </>
          )}
          {user?.user_id} · {roles?.join(', ')}
        </Menu.Label>
        <Menu.Item component={Link} to="/settings" leftSection={<IconSettings size={16} aria-hidden />}>
          {t('frame.settings')}
        </Menu.Item>
        {user?.roles.includes('admin') && (
          <Menu.Item component={Link} to="/operator" leftSection={<IconLifebuoy size={16} aria-hidden />}>
            {t('operator.title')}
          </Menu.Item>
        )}
        <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={logout}>
          {t('frame.logOut')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

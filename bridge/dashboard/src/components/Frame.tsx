import { ActionIcon, Button, Menu, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { IconLogout, IconMoon, IconSettings, IconSun, IconUserCircle } from '@tabler/icons-react';
import { useEffect, useRef } from 'react';
import { Link, NavLink, Outlet, useLocation } from 'react-router';
import { useHealing, useLiveEscrows } from '../api/live';
import { useAuth } from '../contexts/AuthContext';
import { ConnectionBanner, ConnectionState } from './ConnectionState';
import classes from './Frame.module.css';
import { Mark } from './Mark';
import { PayeeChange } from './PayeeChange';

/** The head that all pages have, with the page below it. */
export function Frame() {
  useLiveEscrows();
  useHealing();
  const main = useFocusOnNewPage();
  return (
    <>
      <a className="hf-skip" href="#main">
        Skip to the content
      </a>
      <header className={classes.header}>
        <div className={classes.bar}>
          <Link to="/" className={classes.brand}>
            <Mark />
            <span>Holdfast</span>
          </Link>
          <nav aria-label="Main" className={classes.nav}>
            <NavLink to="/" end>
              Escrows
            </NavLink>
            <NavLink to="/settings">Settings</NavLink>
          </nav>
          <div className={classes.side}>
            <ConnectionState />
            <SchemeToggle />
            <UserMenu />
          </div>
        </div>
        <ConnectionBanner />
      </header>
      <main id="main" ref={main} tabIndex={-1} className={classes.main}>
        <PayeeChange />
        <Outlet />
      </main>
    </>
  );
}

/** Moves the focus to a new page, so that a screen reader and the Tab key start there. */
function useFocusOnNewPage() {
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const shown = useRef(pathname);
  useEffect(() => {
    if (shown.current === pathname) return;
    shown.current = pathname;
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [pathname]);
  return main;
}

function SchemeToggle() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const next = scheme === 'dark' ? 'light' : 'dark';
  const Icon = scheme === 'dark' ? IconSun : IconMoon;
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={`Switch to ${next} colours`}
      onClick={() => setColorScheme(next)}
    >
      <Icon size={18} aria-hidden />
    </ActionIcon>
  );
}

function UserMenu() {
  const { user, logout } = useAuth();
  return (
    <Menu position="bottom-end" width={220} withinPortal>
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          px={8}
          aria-label={`Account: ${user?.user_id}`}
          leftSection={<IconUserCircle size={19} aria-hidden />}
          classNames={{ root: classes.user, label: classes.userName }}
        >
          {user?.user_id}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {user?.user_id} · {user?.roles.join(', ')}
        </Menu.Label>
        <Menu.Item component={Link} to="/settings" leftSection={<IconSettings size={16} aria-hidden />}>
          Settings
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={logout}>
          Log out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

import { ActionIcon, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { IconMoon, IconSun } from '@tabler/icons-react';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, NavLink, Outlet, useLocation } from 'react-router';
import { useHealing, useLiveEscrows } from '../api/live';
import { useAuth } from '../contexts/AuthContext';
import { Account } from './Account';
import { ConnectionBanner, ConnectionState } from './ConnectionState';
import classes from './Frame.module.css';
import { Mark } from './Mark';
import { PayeeChange } from './PayeeChange';

/** The head that all pages have, with the page below it. */
export function Frame() {
  const { t } = useTranslation();
  useLiveEscrows();
  useHealing();
  const main = useFocusOnNewPage();
  const isAdmin = useAuth().user?.roles.includes('admin');
  return (
    <>
      <a className="hf-skip" href="#main">
        {t('frame.skip')}
      </a>
      <header className={classes.header}>
        <div className={classes.bar}>
          <Link to="/" className={classes.brand}>
            <Mark />
            <span>Holdfast</span>
          </Link>
          <nav aria-label={t('frame.main')} className={classes.nav}>
            <NavLink to="/" end>
              {t('frame.escrows')}
            </NavLink>
            <NavLink to="/settings">{t('frame.settings')}</NavLink>
            {isAdmin && <NavLink to="/operator">{t('operator.title')}</NavLink>}
          </nav>
          <div className={classes.side}>
            <ConnectionState />
            <SchemeToggle />
            <Account />
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
  const { t } = useTranslation();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const next = scheme === 'dark' ? 'light' : 'dark';
  const Icon = scheme === 'dark' ? IconSun : IconMoon;
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={t(next === 'dark' ? 'frame.toDark' : 'frame.toLight')}
      onClick={() => setColorScheme(next)}
    >
      <Icon size={18} aria-hidden />
    </ActionIcon>
  );
}

import { Notification } from '@mantine/core';
import { IconCheck } from '@tabler/icons-react';
import { useEffect, useRef, useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';
import { dismiss, onToasts, shownToasts, TOAST_MS, type Toast } from './toast';
import classes from './Toasts.module.css';

/** The toasts of the moment, which are read out as they come. */
export function Toasts() {
  const { t } = useTranslation();
  const toasts = useSyncExternalStore(onToasts, shownToasts);
  return (
    <section className={classes.toasts} role="log" aria-live="polite" aria-label={t('feedback.toasts')}>
      {toasts.map((one) => (
        <Shown key={one.id} toast={one} />
      ))}
    </section>
  );
}

function Shown({ toast }: { toast: Toast }) {
  const { t } = useTranslation();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const stay = () => clearTimeout(timer.current);
  const goSoon = () => {
    stay();
    timer.current = setTimeout(() => dismiss(toast.id), TOAST_MS);
  };
  useEffect(() => {
    timer.current = setTimeout(() => dismiss(toast.id), TOAST_MS);
    return () => clearTimeout(timer.current);
  }, [toast.id]);
  return (
    <Notification
      role="presentation"
      className={classes.toast}
      icon={<IconCheck size={18} aria-hidden />}
      color="teal"
      closeButtonProps={{ 'aria-label': t('feedback.close') }}
      onClose={() => dismiss(toast.id)}
      onMouseEnter={stay}
      onMouseLeave={goSoon}
    >
      {toast.text}
    </Notification>
  );
}

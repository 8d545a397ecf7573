import { Button } from '@mantine/core';
import { IconBell, IconBellFilled } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { noticeStanding, turnNoticesOff, turnNoticesOn } from './notice';

/** Turns the browser's notifications on and off. Nothing where the browser has none. */
export function NoticeButton() {
  const { t } = useTranslation();
  const [standing, setStanding] = useState(noticeStanding);
  if (standing === 'unknown') return null;
  const isOn = standing === 'on';
  const Icon = isOn ? IconBellFilled : IconBell;
  return (
    <Button
      variant="default"
      aria-pressed={isOn}
      disabled={standing === 'refused'}
      leftSection={<Icon size={17} aria-hidden />}
      onClick={() => {
        if (isOn) setStanding(turnNoticesOff());
        else void turnNoticesOn().then(setStanding);
      }}
    >
      {t(`feedback.notices.${standing}`)}
    </Button>
  );
}

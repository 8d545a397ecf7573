import { NativeSelect, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { DATES, ordersFor, PARTS, REASONS, type Filter } from '../../api/filter';
import type { User } from '../../contexts/AuthContext';
import { statusWords, STATUSES } from '../../escrow/word';
import classes from './Filters.module.css';

/** The server is asked when the typing has rested for so long. */
const REST_MS = 300;
/** Characters that the server takes. */
const QUERY_MAX = 200;

interface Props {
  filter: Filter;
  user: User;
  onChange: (name: string, value: string | null) => void;
}

/** By native lists, which a phone shows in its own way, and which cost the first load nothing. */
export function Filters({ filter, user, onChange }: Props) {
  const { t } = useTranslation();
  const parts = [...PARTS, 'turn'] as const;
  return (
    <search className={classes.filters}>
      <Words query={filter.query} onChange={onChange} />
      <NativeSelect
        aria-label={t('list.status')}
        data={[
          { value: '', label: t('list.anyStatus') },
          ...STATUSES.map((value) => ({ value, label: statusWords(value) })),
        ]}
        value={filter.status}
        onChange={(event) => onChange('status', event.currentTarget.value || null)}
      />
      <NativeSelect
        aria-label={t('list.part')}
        data={[
          { value: '', label: t('list.anyPart') },
          ...parts.map((value) => ({ value, label: t(`list.parts.${value}`) })),
        ]}
        value={filter.needsMe ? 'turn' : filter.role}
        onChange={(event) => onChange('part', event.currentTarget.value || null)}
      />
      <NativeSelect
        className={classes.line}
        aria-label={t('list.order')}
        data={ordersFor(user).map((value) => ({ value, label: t(`list.orders.${value}`) }))}
        value={filter.order}
        onChange={(event) => onChange('order', event.currentTarget.value)}
      />
      <NativeSelect
        className={classes.line}
        aria-label={t('list.dates')}
        data={DATES.map((value) => ({ value, label: t(`list.datesOf.${value}`) }))}
        value={filter.dates}
        onChange={(event) => {
          const { value } = event.currentTarget;
          onChange('dates', value === 'created' ? null : value);
        }}
      />
      <Day name="from" filter={filter} onChange={onChange} />
      <Day name="until" filter={filter} onChange={onChange} />
      {user.roles.includes('admin') && (
        <NativeSelect
          aria-label={t('list.attention')}
          data={[
            { value: '', label: t('list.attention') },
            { value: 'yes', label: t('list.anyReason') },
            ...REASONS.map((value) => ({ value, label: t(`operator.code.${value}`) })),
          ]}
          value={filter.attention}
          onChange={(event) => onChange('attention', event.currentTarget.value || null)}
        />
      )}
    </search>
  );
}

function Words({ query, onChange }: { query: string; onChange: Props['onChange'] }) {
  const { t } = useTranslation();
  const [text, setText] = useState(query);
  const [asked, setAsked] = useState(query);
  const ask = useDebouncedCallback((words: string) => {
    setAsked(words.trim());
    onChange('q', words.trim() || null);
  }, REST_MS);
  // The address may change by itself: by `Clear the filters`, or by the browser's way back.
  const [known, setKnown] = useState(query);
  if (query !== known) {
    setKnown(query);
    if (query !== asked) {
      setAsked(query);
      setText(query);
    }
  }
  return (
    <TextInput
      type="search"
      className={classes.words}
      aria-label={t('list.search')}
      placeholder={t('list.search')}
      leftSection={<IconSearch size={17} aria-hidden />}
      maxLength={QUERY_MAX}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        ask(event.currentTarget.value);
      }}
    />
  );
}

interface DayProps extends Omit<Props, 'user'> {
  name: 'from' | 'until';
}

function Day({ name, filter, onChange }: DayProps) {
  const { t } = useTranslation();
  return (
    <TextInput
      type="date"
      className={classes.day}
      aria-label={t(`list.days.${filter.dates}.${name}`)}
      leftSection={t(name === 'from' ? 'list.from' : 'list.until')}
      leftSectionWidth={46}
      value={filter[name]}
      onChange={(event) => onChange(name, event.currentTarget.value || null)}
    />
  );
}

import { Button, Loader, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { keys } from '../../api/cache';
import type { Filter } from '../../api/filter';
import type { useEscrows } from '../../api/list';
import { dateOf } from '../../escrow/time';
import classes from './Searching.module.css';

/**
 * Goes on where nothing is found yet, until there is something to show, the end, or the user has
 * enough: the server looks at a limited number of escrows for each call.
 */
export function useSearch(filter: Filter, list: ReturnType<typeof useEscrows>) {
  const client = useQueryClient();
  const address = JSON.stringify(filter);
  const [stopped, setStopped] = useState('');
  const { data, hasNextPage, isSuccess, isFetching, isPlaceholderData, fetchNextPage } = list;
  const isEmpty = isSuccess && !isPlaceholderData && data.pages.every((page) => page.escrows.length === 0);
  const isOn = isEmpty && hasNextPage && stopped !== address;
  useEffect(() => {
    if (isOn && !isFetching) void fetchNextPage();
  }, [isOn, isFetching, fetchNextPage]);
  return {
    isOn,
    reached: data?.pages.findLast((page) => page.reached)?.reached ?? '',
    stop: () => {
      setStopped(address);
      void client.cancelQueries({ queryKey: keys.list(filter), exact: true });
    },
    goOn: () => setStopped(''),
  };
}

/** How far a search has come that has found nothing yet, and the button that ends it. */
export function Searching({ reached, onStop }: { reached: string; onStop: () => void }) {
  const { t } = useTranslation();
  return (
    <div className={classes.searching}>
      <Loader size="sm" aria-hidden />
      <Text role="status">
        {reached ? t('list.searched', { date: dateOf(reached) }) : t('list.searching')}
      </Text>
      <Button variant="default" onClick={onStop}>
        {t('list.stop')}
      </Button>
    </div>
  );
}

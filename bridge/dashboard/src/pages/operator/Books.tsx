import { Button, Group, Progress, Stack, Switch, Text } from '@mantine/core';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { checkBooks, useBalance, useLastCheck, type Checked, type Finding } from '../../api/operator';
import { Ago } from '../../components/Ago';
import { CoreWords } from '../../components/CoreWords';
import { FaultAlert } from '../../components/FaultAlert';
import { useAuth } from '../../contexts/AuthContext';
import { formatMoney } from '../../escrow/money';
import classes from './operator.module.css';
import { Panel } from './Panel';
import { Table, type Column } from './Table';

/** What the provider and the platform have, and what is on its way. */
const ACCOUNTS = [
  'razorpay:balance',
  'razorpay:on_hold',
  'refunds:in_flight',
  'platform:fees',
  'platform:chargeback_losses',
  'platform:bank',
] as const;

export function Books() {
  return (
    <Stack gap="lg">
      <Last />
      <Now />
      <Balances />
    </Stack>
  );
}

function Last() {
  const { t } = useTranslation();
  const last = useLastCheck();
  const check = last.data;
  const found = [...(check?.findings ?? []), ...(check?.recon_findings ?? [])];
  const walk = { done: Number(check?.walk_checked ?? 0), total: Number(check?.walk_total ?? 0) };
  return (
    <Panel title={t('operator.books.last')} about={t('operator.books.lastAbout')} query={last}>
      {check && (
        <dl className={classes.facts}>
          <Fact label={t('operator.books.checked')}>
            {check.check_time ? <Ago time={check.check_time} /> : t('operator.books.never')}
          </Fact>
          <Fact label={t('operator.books.walk')}>
            {t('operator.books.ofAll', { done: walk.done, total: walk.total })}
          </Fact>
          <Fact label={t('operator.books.whole')}>
            {check.whole_end_time ? <Ago time={check.whole_end_time} /> : t('operator.books.never')}
          </Fact>
          <Fact label={t('operator.books.report')}>{check.recon_day || t('operator.books.never')}</Fact>
        </dl>
      )}
      {last.isSuccess && <Findings found={found} />}
    </Panel>
  );
}

function Fact({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Findings({ found }: { found: Finding[] }) {
  const { t } = useTranslation();
  const columns: Column<Finding & { at: number }>[] = [
    {
      label: t('operator.books.check'),
      cell: (one) => <span className={classes.code} data-technical>{one.check}</span>,
    },
    { label: t('operator.books.found'), cell: (one) => <CoreWords words={one.message ?? ''} /> },
    {
      label: t('operator.queue.escrow'),
      cell: (one) =>
        one.escrow_id && (
          <Link to={`/operator/lookup?id=${one.escrow_id}`}>{one.escrow_id.slice(0, 8)}…</Link>
        ),
    },
  ];
  if (found.length === 0) return <Text role="status">{t('operator.books.nothing')}</Text>;
  const rows = found.map((one, at) => ({ ...one, at }));
  return (
    <Table label={t('operator.books.findings')} columns={columns} rows={rows} keyOf={(one) => String(one.at)} />
  );
}

/** A check that somebody asks for. It goes page by page, so that it can be called off. */
function Now() {
  const { t } = useTranslation();
  const { token } = useAuth();
  const last = useLastCheck();
  const [withRazorpay, setWithRazorpay] = useState(false);
  const [sofar, setSofar] = useState<Checked | null>(null);
  const [state, setState] = useState<'idle' | 'running' | 'done' | 'off'>('idle');
  const [error, setError] = useState<Error | null>(null);
  const running = useRef<AbortController>(null);
  const start = async () => {
    const control = new AbortController();
    running.current = control;
    setSofar({ escrows: 0, findings: [] });
    setError(null);
    setState('running');
    try {
      await checkBooks({ token, withRazorpay, signal: control.signal, onProgress: setSofar });
      setState('done');
    } catch (problem) {
      setState('off');
      if (!control.signal.aborted) setError(problem as Error);
    }
  };
  const total = Number(last.data?.walk_total ?? 0);
  const percent = total > 0 ? Math.min(100, ((sofar?.escrows ?? 0) / total) * 100) : 100;
  return (
    <Panel title={t('operator.books.now')} about={t('operator.books.nowAbout')}>
      <Group gap="lg">
        {state === 'running' ? (
          <Button variant="default" onClick={() => running.current?.abort()}>
            {t('operator.books.stop')}
          </Button>
        ) : (
          <Button onClick={() => void start()}>{t('operator.books.start')}</Button>
        )}
        <Switch
          label={t('operator.books.withRazorpay')}
          checked={withRazorpay}
          disabled={state === 'running'}
          onChange={(event) => setWithRazorpay(event.currentTarget.checked)}
        />
      </Group>
      {state === 'running' && (
        <Progress value={percent} animated aria-label={t('operator.books.progress')} />
      )}
      {sofar && state !== 'idle' && (
        <Text role="status" size="sm">
          {t(`operator.books.state.${state}`, { count: sofar.escrows })}
        </Text>
      )}
      <FaultAlert error={error} />
      {sofar && state !== 'running' && <Findings found={sofar.findings} />}
    </Panel>
  );
}

function Balances() {
  const { t } = useTranslation();
  return (
    <Panel title={t('operator.books.balances')} about={t('operator.books.balancesAbout')}>
      <dl className={classes.facts}>
        {ACCOUNTS.map((account) => (
          <Balance key={account} account={account} />
        ))}
      </dl>
    </Panel>
  );
}

function Balance({ account }: { account: (typeof ACCOUNTS)[number] }) {
  const { t } = useTranslation();
  const balance = useBalance(account);
  const sums = balance.data ?? [];
  return (
    <div data-account={account}>
      <dt>{t(`operator.account.${account.replace(':', '_') as Underscored}`)}</dt>
      <dd>
        {balance.isSuccess && (sums.length > 0 ? sums : [{ amount_minor: 0, currency: 'INR' }])
          .map((one) => formatMoney(one.amount_minor, one.currency))
          .join(', ')}
        <Text size="xs" c="dimmed" data-technical>
          {account}
        </Text>
        <FaultAlert error={balance.error} onRetry={() => void balance.refetch()} />
      </dd>
    </div>
  );
}

type Underscored =
  | 'razorpay_balance'
  | 'razorpay_on_hold'
  | 'refunds_in_flight'
  | 'platform_fees'
  | 'platform_chargeback_losses'
  | 'platform_bank';

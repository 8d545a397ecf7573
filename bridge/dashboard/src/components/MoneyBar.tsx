import { useTranslation } from 'react-i18next';
import type { MoneyData } from '../services/websocket';
import { formatMoney } from '../escrow/money';
import classes from './MoneyBar.module.css';

const SHARES = [
  { key: 'held_minor', tone: 'held' },
  { key: 'released_minor', tone: 'released' },
  { key: 'refunded_minor', tone: 'refunded' },
  { key: 'fee_minor', tone: 'fee' },
] as const;

interface Props {
  money: MoneyData;
  amount_minor: number;
  currency: string;
}

/** Where the money is: a bar of four shares. The unpaid part is an empty outline. */
export function MoneyBar({ money, amount_minor, currency }: Props) {
  const { t } = useTranslation();
  return (
    <div>
      <Bar money={money} amount_minor={amount_minor} currency={currency} />
      <dl className={classes.legend}>
        {SHARES.map(({ key, tone }) => (
          <div key={key} className={classes.item} data-empty={money[key] === 0 || undefined}>
            <dt>
              <span className={classes.swatch} data-tone={tone} aria-hidden />
              {t(`escrow.share.${tone}`)}
            </dt>
            <dd data-share={tone}>{formatMoney(money[key], currency)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** The bar alone. Its label gives the amounts to screen readers. */
export function Bar({ money, amount_minor, currency, isThin = false }: Props & { isThin?: boolean }) {
  const { t } = useTranslation();
  const paid_minor = SHARES.reduce((sum, { key }) => sum + money[key], 0);
  const whole_minor = Math.max(amount_minor, paid_minor, 1);
  const filled = SHARES.filter(({ key }) => money[key] > 0);
  const said = filled.map(({ key, tone }) =>
    t('escrow.share.named', {
      name: t(`escrow.share.${tone}`),
      amount: formatMoney(money[key], currency),
    }),
  );
  const nothing = t('escrow.share.nothing', { amount: formatMoney(amount_minor, currency) });
  return (
    <div
      className={classes.bar}
      data-thin={isThin || undefined}
      role="img"
      aria-label={said.join(', ') || nothing}
    >
      {SHARES.map(({ key, tone }) => (
        <span
          key={key}
          className={classes.share}
          data-tone={tone}
          data-empty={money[key] === 0 || undefined}
          style={{ flexGrow: money[key] / whole_minor }}
        />
      ))}
      <span style={{ flexGrow: (whole_minor - paid_minor) / whole_minor }} />
    </div>
  );
}

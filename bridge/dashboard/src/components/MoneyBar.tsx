import type { MoneyData } from '../services/websocket';
import { formatMoney } from '../escrow/money';
import classes from './MoneyBar.module.css';

const SHARES = [
  { key: 'held_minor', name: 'Held', tone: 'held' },
  { key: 'released_minor', name: 'Released', tone: 'released' },
  { key: 'refunded_minor', name: 'Refunded', tone: 'refunded' },
  { key: 'fee_minor', name: 'Fee', tone: 'fee' },
] as const;

interface Props {
  money: MoneyData;
  amount_minor: number;
  currency: string;
}

/** Where the money is: a bar of four shares. The unpaid part is an empty outline. */
export function MoneyBar({ money, amount_minor, currency }: Props) {
  return (
    <div>
      <Bar money={money} amount_minor={amount_minor} currency={currency} />
      <dl className={classes.legend}>
        {SHARES.map(({ key, name, tone }) => (
          <div key={key} className={classes.item} data-empty={money[key] === 0 || undefined}>
            <dt>
              <span className={classes.swatch} data-tone={tone} aria-hidden />
              {name}
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
  const paid_minor = SHARES.reduce((sum, { key }) => sum + money[key], 0);
  const whole_minor = Math.max(amount_minor, paid_minor, 1);
  const filled = SHARES.filter(({ key }) => money[key] > 0);
  const said = filled.map(({ key, name }) => `${name} ${formatMoney(money[key], currency)}`);
  return (
    <div
      className={classes.bar}
      data-thin={isThin || undefined}
      role="img"
      aria-label={said.join(', ') || `Nothing paid yet of ${formatMoney(amount_minor, currency)}`}
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

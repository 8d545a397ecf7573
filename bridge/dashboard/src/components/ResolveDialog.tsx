import { Button, Group, Modal, Slider, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useState, type SyntheticEvent } from 'react';
import { useCommand } from '../api/command';
import type { Escrow } from '../api/wire';
import type { Action } from '../escrow/action';
import { commandFor } from '../escrow/ask';
import { AMOUNT_MIN_MINOR, formatMoney, parseMoney } from '../escrow/money';
import { FaultAlert } from './FaultAlert';
import classes from './ResolveDialog.module.css';

const NOTE_MAX = 1000;
const PERCENT = 100;

interface Props {
  escrow: Escrow;
  action: Action;
  onClose: () => void;
}

/** Divides the held money between seller and buyer: with a slider, or exactly to the paisa. */
export function ResolveDialog({ escrow, action, onClose }: Props) {
  const [held_minor] = useState(action.milestone?.held_minor ?? escrow.held_minor);
  const [figures, setFigures] = useState(toFigures(Math.round(held_minor / 2)));
  const [note, setNote] = useState('');
  const command = useCommand();
  const release_minor = parseMoney(figures);
  const problem = problemWith(release_minor, held_minor, escrow.currency);
  const shown_minor = Math.min(release_minor ?? 0, held_minor);
  const money = (amount_minor: number) => formatMoney(amount_minor, escrow.currency);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (problem || release_minor === null) return;
    const fields = {
      release_minor: String(release_minor),
      refund_minor: String(held_minor - release_minor),
      note: note.trim(),
    };
    command.mutate(commandFor('resolve', escrow, action, fields), { onSuccess: onClose });
  };
  return (
    <Modal opened onClose={onClose} title={`Divide ${money(held_minor)}`} size="lg">
      <form onSubmit={submit} noValidate>
        <Stack gap="lg">
          <div className={classes.shares}>
            <Share who={escrow.seller_id} says="to the seller" amount={money(shown_minor)} />
            <Share
              who={escrow.buyer_id}
              says="back to the buyer"
              amount={money(held_minor - shown_minor)}
            />
          </div>
          <Slider
            classNames={{ bar: classes.bar, track: classes.track }}
            size="lg"
            thumbSize={24}
            max={PERCENT}
            value={Math.round((shown_minor / held_minor) * PERCENT)}
            onChange={(percent) =>
              setFigures(toFigures(Math.round((held_minor * percent) / PERCENT)))
            }
            label={(percent) => `${percent} % to the seller`}
            marks={[0, 25, 50, 75, 100].map((value) => ({ value }))}
            thumbLabel="The seller’s share"
            thumbProps={{
              'aria-valuetext': `${money(shown_minor)} to the seller, ${money(held_minor - shown_minor)} to the buyer`,
            }}
          />
          <TextInput
            label="To the seller, exactly"
            leftSection="₹"
            inputMode="decimal"
            maw={220}
            value={figures}
            error={problem}
            onChange={(event) => setFigures(event.currentTarget.value)}
          />
          <Textarea
            label="Why"
            description="Both parties will read it."
            autosize
            minRows={2}
            maxLength={NOTE_MAX}
            value={note}
            onChange={(event) => setNote(event.currentTarget.value)}
          />
          <Text size="sm" c="dimmed">
            The platform’s fee is taken from the seller’s part. The decision cannot be changed.
          </Text>
          <FaultAlert error={command.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Back
            </Button>
            <Button type="submit" loading={command.isPending} disabled={problem !== ''}>
              Decide
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Share({ who, says, amount }: { who: string; says: string; amount: string }) {
  return (
    <div>
      <Text size="sm" c="dimmed">
        {who}, {says}
      </Text>
      <Text className={classes.amount}>{amount}</Text>
    </div>
  );
}

function toFigures(amount_minor: number): string {
  const rupees = Math.floor(amount_minor / 100);
  const paise = amount_minor % 100;
  return paise === 0 ? String(rupees) : `${rupees}.${String(paise).padStart(2, '0')}`;
}

function problemWith(release_minor: number | null, held_minor: number, currency: string): string {
  if (release_minor === null) return 'Write an amount in rupees, such as 5,000 or 99.50.';
  if (release_minor > held_minor) return `No more than ${formatMoney(held_minor, currency)} is held.`;
  const isTooSmall = [release_minor, held_minor - release_minor].some(
    (part_minor) => part_minor > 0 && part_minor < AMOUNT_MIN_MINOR,
  );
  return isTooSmall ? 'Each part must be either ₹0 or at least ₹1.' : '';
}

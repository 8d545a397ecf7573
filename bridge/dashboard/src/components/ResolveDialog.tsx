import { Button, Group, Modal, Slider, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useState, type SyntheticEvent } from 'react';
import { useCommand } from '../api/command';
import type { Escrow } from '../api/wire';
import type { Action } from '../escrow/action';
import { commandFor } from '../escrow/ask';
import { divide, divisionProblem, toFigures, verdictWords, type Division } from '../escrow/division';
import { formatMoney, parseMoney } from '../escrow/money';
import { FaultAlert } from './FaultAlert';
import classes from './ResolveDialog.module.css';

const NOTE_MAX = 1000;
const PERCENT = 100;

/** `resolve` ends a dispute; with `override` an admin decides anew what is settling. */
export type Verdict = 'resolve' | 'override';

interface Props {
  escrow: Escrow;
  action: Action & { verb: Verdict };
  onClose: () => void;
}

/** Divides the held money between seller and buyer. Nothing is chosen when it opens. */
export function ResolveDialog({ escrow, action, onClose }: Props) {
  const [piece] = useState(action.milestone ?? escrow);
  const [figures, setFigures] = useState('');
  const [note, setNote] = useState('');
  const [isAsked, setAsked] = useState(false);
  const command = useCommand();
  const release_minor = parseMoney(figures);
  const problem = divisionProblem(release_minor, piece.held_minor, escrow.currency);
  const division = problem || release_minor === null ? null : divide(release_minor, piece, escrow);
  const isUnsaid = note.trim() === '';

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    setAsked(true);
    if (!division || isUnsaid) return;
    const fields = {
      release_minor: String(division.release_minor),
      refund_minor: String(division.refund_minor),
      note: note.trim(),
    };
    command.mutate(commandFor(action.verb, escrow, action, fields), { onSuccess: onClose });
  };
  const title = action.verb === 'resolve' ? 'Divide' : 'Divide anew';
  return (
    <Modal
      opened
      onClose={onClose}
      title={`${title} ${formatMoney(piece.held_minor, escrow.currency)}`}
      size="lg"
    >
      <form onSubmit={submit} noValidate>
        <Stack gap="lg">
          <Shares escrow={escrow} division={division} />
          <Slide
            escrow={escrow}
            held_minor={piece.held_minor}
            release_minor={release_minor}
            onChange={(amount_minor) => setFigures(toFigures(amount_minor))}
          />
          <TextInput
            label={`Out of it for ${escrow.seller_id}, before the fee`}
            leftSection="₹"
            inputMode="decimal"
            withAsterisk
            maw={280}
            value={figures}
            error={(figures !== '' || isAsked) && problem}
            onChange={(event) => setFigures(event.currentTarget.value)}
          />
          <Textarea
            label="Why"
            description="Both parties will read it."
            withAsterisk
            required
            autosize
            minRows={2}
            maxLength={NOTE_MAX}
            value={note}
            error={isAsked && isUnsaid && 'Give the reason; both parties will read it.'}
            onChange={(event) => setNote(event.currentTarget.value)}
          />
          <Text size="sm" c="dimmed">
            The platform’s fee is taken from the seller’s part. Once money has moved, the decision cannot
            be changed.
          </Text>
          <FaultAlert error={command.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Back
            </Button>
            <Button type="submit" loading={command.isPending} className="hf-long">
              {division ? verdictWords(division, escrow) : 'Decide'}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** What each side would get in the end. */
function Shares({ escrow, division }: { escrow: Escrow; division: Division | null }) {
  const shown = (amount_minor: number | undefined) =>
    amount_minor === undefined ? '–' : formatMoney(amount_minor, escrow.currency);
  return (
    <div className={classes.shares} aria-live="polite">
      <Share says={`${escrow.seller_id} gets`} amount={shown(division?.payout_minor)} />
      <Share says="The platform’s fee" amount={shown(division?.fee_minor)} />
      <Share says={`${escrow.buyer_id} gets back`} amount={shown(division?.refund_minor)} />
    </div>
  );
}

function Share({ says, amount }: { says: string; amount: string }) {
  return (
    <div>
      <Text size="sm" c="dimmed">
        {says}
      </Text>
      <Text className={classes.amount}>{amount}</Text>
    </div>
  );
}

interface SlideProps {
  escrow: Escrow;
  held_minor: number;
  release_minor: number | null;
  onChange: (release_minor: number) => void;
}

/** A quick way to choose by shares. Its thumb waits in the middle until something is chosen. */
function Slide({ escrow, held_minor, release_minor, onChange }: SlideProps) {
  const isChosen = release_minor !== null;
  const share = isChosen ? Math.min(release_minor, held_minor) / held_minor : 1 / 2;
  const rest_minor = held_minor - Math.min(release_minor ?? 0, held_minor);
  const money = (amount_minor: number) => formatMoney(amount_minor, escrow.currency);
  const said = isChosen
    ? `${money(held_minor - rest_minor)} for ${escrow.seller_id}, ${money(rest_minor)} for ${escrow.buyer_id}`
    : 'Nothing chosen yet';
  return (
    <div className={classes.slide} data-chosen={isChosen || undefined}>
      <Slider
        classNames={{ bar: classes.bar, track: classes.track, thumb: classes.thumb }}
        size="lg"
        thumbSize={24}
        max={PERCENT}
        value={Math.round(share * PERCENT)}
        onChange={(percent) => onChange(Math.round((held_minor * percent) / PERCENT))}
        label={(percent) => `${percent} % for ${escrow.seller_id}`}
        marks={[0, 25, 50, 75, 100].map((value) => ({ value }))}
        thumbLabel="The seller’s share"
        thumbValueText={said}
      />
      <div className={classes.ends} aria-hidden>
        <span>for {escrow.seller_id}</span>
        <span>for {escrow.buyer_id}</span>
      </div>
    </div>
  );
}

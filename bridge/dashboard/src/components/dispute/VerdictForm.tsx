import { Button, Group, Stack, Text, Textarea, TextInput, Title } from '@mantine/core';
import { useState, type SyntheticEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { useCommand } from '../../api/command';
import type { Escrow } from '../../api/wire';
import type { Action } from '../../escrow/action';
import { commandFor } from '../../escrow/ask';
import {
  claimOf,
  divide,
  divisionProblem,
  figuresFor,
  releaseOf,
  verdictWords,
  type Choice,
  type Claim,
  type Division,
} from '../../escrow/division';
import { formatMoney } from '../../escrow/money';
import { called } from '../../escrow/person';
import type { PieceData } from '../../services/websocket';
import { FaultAlert } from '../FaultAlert';
import { Moot, useMoot } from '../Moot';
import classes from './VerdictForm.module.css';

const NOTE_MAX = 1000;
const UNSAID: Claim = { side: 'seller', figures: '' };

/** `resolve` ends a dispute; with `override` an admin decides anew what is settling. */
export type Verdict = 'resolve' | 'override';

interface Props {
  escrow: Escrow;
  piece: PieceData;
  action: Action & { verb: Verdict };
  onClose: () => void;
}

/** Divides the held money between seller and buyer. Nothing is chosen when it opens. */
export function VerdictForm({ escrow, piece, action, onClose }: Props) {
  const { t } = useTranslation();
  const [claim, setClaim] = useState(UNSAID);
  const [note, setNote] = useState('');
  const [isAsked, setAsked] = useState(false);
  const command = useCommand();
  const moot = useMoot(escrow, action);
  const release_minor = releaseOf(claim, piece.held_minor);
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
  if (moot && !command.isPending && !command.isSuccess) {
    return <Moot escrow={escrow} piece={moot} written={note} onClose={onClose} />;
  }
  return (
    <form onSubmit={submit} noValidate className={`hf-card ${classes.form}`}>
      <Stack gap="md">
        <Title order={3} size="h4">
          {t('dispute.verdict.split', { held: formatMoney(piece.held_minor, escrow.currency) })}
        </Title>
        <Choices escrow={escrow} onChoose={(choice) => setClaim(claimOf(choice, piece.held_minor))} />
        <Claims
          escrow={escrow}
          held_minor={piece.held_minor}
          claim={claim}
          problem={claim.figures !== '' || isAsked ? problem : ''}
          onChange={setClaim}
        />
        <Shares escrow={escrow} division={division} />
        <Textarea
          label={t('dispute.verdict.why')}
          description={t('dispute.verdict.whyReaders')}
          withAsterisk
          required
          autosize
          minRows={3}
          maxLength={NOTE_MAX}
          value={note}
          error={isAsked && isUnsaid && t('dispute.verdict.whyMissing')}
          onChange={(event) => setNote(event.currentTarget.value)}
        />
        <Text size="sm" c="dimmed">
          {t('dispute.verdict.final')}
        </Text>
        <FaultAlert error={command.error} />
        <Button type="submit" loading={command.isPending} className="hf-long">
          {division ? verdictWords(division, escrow) : t('dispute.verdict.open')}
        </Button>
        <Button variant="default" onClick={onClose}>
          {t('dispute.verdict.cancel')}
        </Button>
      </Stack>
    </form>
  );
}

function Choices({ escrow, onChoose }: { escrow: Escrow; onChoose: (choice: Choice) => void }) {
  const { t } = useTranslation();
  return (
    <Group gap="xs" role="group" aria-label={t('dispute.verdict.quick')}>
      <Button size="xs" variant="default" onClick={() => onChoose('seller')}>
        {t('dispute.verdict.allSeller', { seller: called(escrow.seller_id) })}
      </Button>
      <Button size="xs" variant="default" onClick={() => onChoose('buyer')}>
        {t('dispute.verdict.allBuyer', { buyer: called(escrow.buyer_id) })}
      </Button>
      <Button size="xs" variant="default" onClick={() => onChoose('half')}>
        {t('dispute.verdict.half')}
      </Button>
    </Group>
  );
}

interface ClaimsProps {
  escrow: Escrow;
  held_minor: number;
  claim: Claim;
  problem: string;
  onChange: (claim: Claim) => void;
}

/** An amount for each side. What is written for one leaves the rest to the other. */
function Claims({ escrow, held_minor, claim, problem, onChange }: ClaimsProps) {
  const { t } = useTranslation();
  const labels = {
    seller: t('dispute.verdict.forSeller', { seller: called(escrow.seller_id) }),
    buyer: t('dispute.verdict.forBuyer', { buyer: called(escrow.buyer_id) }),
  };
  return (['seller', 'buyer'] as const).map((side) => (
    <TextInput
      key={side}
      label={labels[side]}
      leftSection="₹"
      inputMode="decimal"
      autoComplete="off"
      withAsterisk
      required
      value={figuresFor(side, claim, held_minor)}
      error={claim.side === side && problem}
      onChange={(event) => onChange({ side, figures: event.currentTarget.value })}
    />
  ));
}

/** What each side would get in the end. */
function Shares({ escrow, division }: { escrow: Escrow; division: Division | null }) {
  const { t } = useTranslation();
  const shown = (amount_minor: number | undefined) =>
    amount_minor === undefined ? '–' : formatMoney(amount_minor, escrow.currency);
  return (
    <dl className={classes.shares} aria-live="polite">
      <Share
        says={t('dispute.verdict.gets', { who: called(escrow.seller_id) })}
        amount={shown(division?.payout_minor)}
      />
      <Share says={t('dispute.verdict.fee')} amount={shown(division?.fee_minor)} />
      <Share
        says={t('dispute.verdict.getsBack', { who: called(escrow.buyer_id) })}
        amount={shown(division?.refund_minor)}
      />
    </dl>
  );
}

function Share({ says, amount }: { says: string; amount: string }) {
  return (
    <div>
      <dt>{says}</dt>
      <dd>{amount}</dd>
    </div>
  );
}

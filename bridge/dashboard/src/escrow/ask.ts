/** The text of the dialog that confirms an action, and the command that the action sends. */
import type { Escrow } from '../api/wire';
import type { Command } from '../api/command';
import { commandPath } from '../api/command';
import type { Action, Verb } from './action';
import { formatMoney } from './money';

export interface Ask {
  /** The button that opens the dialog. */
  label: string;
  title: string;
  text: string;
  /** The button that does it. */
  deed: string;
  /** The text field, if there is one: its name in the request, and its label. */
  words?: { field: 'reason' | 'note'; label: string; isRequired: boolean; max: number };
  isGrave: boolean;
}

const NOTE_MAX = 1000;
const REASON_MAX = 2000;

const note = { field: 'note', label: 'Note (optional)', isRequired: false, max: NOTE_MAX } as const;

/** `pay` and `resolve` have dialogs of their own. */
export type AskedVerb = Exclude<Verb, 'pay' | 'resolve'>;

export function askFor(verb: AskedVerb, escrow: Escrow, { milestone }: Action): Ask {
  const held_minor = milestone?.held_minor ?? escrow.held_minor;
  const held = formatMoney(held_minor, escrow.currency);
  const what = milestone ? `“${milestone.title}”` : 'this escrow';
  switch (verb) {
    case 'confirm':
      return {
        label: 'Confirm',
        title: 'Confirm that all is done',
        text: `You confirm that your side of ${what} is done. When both of you have confirmed, ${held} goes to ${escrow.seller_id}.`,
        deed: 'Confirm',
        isGrave: false,
      };
    case 'release':
      return {
        label: 'Release',
        title: `Release ${held}`,
        text: `${escrow.seller_id} is paid for ${what} at once, without waiting for confirmations. This cannot be undone.`,
        deed: `Release ${held}`,
        words: note,
        isGrave: true,
      };
    case 'refund':
      return {
        label: 'Refund',
        title: `Refund ${held}`,
        text: `${escrow.buyer_id} gets back what is held for ${what}. This cannot be undone.`,
        deed: `Refund ${held}`,
        words: note,
        isGrave: true,
      };
    case 'dispute':
      return {
        label: 'Dispute',
        title: 'Raise a dispute',
        text: `The money stays where it is until ${escrow.arbiter_id || 'an administrator'} decides, or you withdraw.`,
        deed: 'Raise the dispute',
        words: { field: 'reason', label: 'What is wrong?', isRequired: true, max: REASON_MAX },
        isGrave: true,
      };
    case 'withdrawDispute':
      return {
        label: 'Withdraw dispute',
        title: 'Withdraw the dispute',
        text: `${held} stays held, and both of you can go on as before.`,
        deed: 'Withdraw it',
        isGrave: false,
      };
    case 'cancel':
      return {
        label: 'Cancel',
        title: 'Cancel this escrow',
        text: 'Nothing has been paid. A payment that still arrives is refunded in full.',
        deed: 'Cancel the escrow',
        words: note,
        isGrave: true,
      };
  }
}

export function commandFor(
  verb: Verb,
  escrow: Escrow,
  action: Action,
  fields: Record<string, unknown>,
): Command {
  const milestone = action.milestone ? { milestone_id: action.milestone.milestone_id } : {};
  return { path: commandPath(escrow.escrow_id, verb), body: { ...fields, ...milestone } };
}

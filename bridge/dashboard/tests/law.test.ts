/**
 * What the page offers against what core's law allows, in every state that escrows come into. The law
 * itself says what it allows: `tests/core/law/offers.py` asks it.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readEscrow, type Escrow, type WireEscrow } from '../src/api/wire';
import { actionsOf, mayDivideAnew } from '../src/escrow/action';
import { courseOf, pathOf } from '../src/escrow/path';
import { milestoneToDivide, remedyFor } from '../src/pages/operator/remedy';
import { user } from './example';

interface Line {
  name: string;
  escrow: WireEscrow;
  users: { user_id: string; roles: string[]; allowed: [verb: string, milestone: string][]; retries: boolean }[];
}

const ROOT = resolve(import.meta.dirname, '../../..');
const PYTHON = resolve(ROOT, '.venv/bin/python');
/** What an administrator may do, but has better ways to do or no reason for. */
const NOT_OFFERED = new Set(['pay', 'accept']);

describe.skipIf(!existsSync(PYTHON))('in every state of core’s law', () => {
  const lines = existsSync(PYTHON) ? read() : [];

  test('no button is offered that the law refuses, and none is missing', () => {
    expect(lines.length).toBeGreaterThan(400);
    const wrong: string[] = [];
    for (const { name, escrow, users } of lines) {
      for (const { user_id, roles, allowed } of users) {
        const offered = actionsOf(escrow, user(user_id, roles)).map(
          ({ verb, milestone }) => `${verb} ${milestone?.milestone_id ?? ''}`,
        );
        const may = new Set(allowed.map((one) => one.join(' ')));
        const who = `${name}: ${user_id} ${roles.join()}`;
        wrong.push(...offered.filter((one) => !may.has(one)).map((one) => `${who} is offered ${one}`));
        wrong.push(...missing(escrow, offered, allowed).map((one) => `${who} is not offered ${one}`));
      }
    }
    expect(wrong).toEqual([]);
  });

  test('each reason to look has one remedy, which is never refused', () => {
    const seen = new Map<string, Set<string>>();
    const refused: string[] = [];
    for (const { name, escrow, users } of lines) {
      const admin = users.find((one) => one.roles.includes('admin'));
      for (const item of escrow.attentions) {
        const remedy = remedyFor(escrow, item);
        seen.set(item.code, (seen.get(item.code) ?? new Set()).add(remedy));
        const milestone = milestoneToDivide(escrow, item)?.milestone_id ?? '';
        const isTaken = {
          retry: admin?.retries,
          compare: admin?.retries,
          bear: admin?.retries,
          override: admin?.allowed.some(([verb, of]) => verb === 'override' && of === milestone),
          account: true,
          look: true,
          wait: true,
          know: true,
        }[remedy];
        if (!isTaken) refused.push(`${name}: ${remedy} of ${item.code}`);
      }
    }
    expect(refused).toEqual([]);
    expect(Object.fromEntries([...seen].map(([code, remedies]) => [code, [...remedies].sort()]))).toEqual({
      BANK_DISPUTE: ['look'],
      PLATFORM_LOSS: ['know'],
      FOREIGN_TRANSFER: ['look', 'retry'],
      FOREIGN_REFUND: ['bear', 'look', 'override'],
      GATEWAY_REFUSED: ['retry'],
      PAYEE_REFUSED: ['account'],
      PAYEE_MISSING: ['account'],
      BOOKS_DIFFER: ['compare'],
      SURPLUS_PAYMENT: ['wait'],
    });
  });

  test('an escrow is divided anew exactly where the law allows it', () => {
    for (const { name, escrow, users } of lines) {
      const admin = users.find((one) => one.roles.includes('admin'));
      for (const piece of escrow.milestones.length > 0 ? escrow.milestones : [escrow]) {
        const id = 'milestone_id' in piece ? piece.milestone_id : '';
        const may = admin?.allowed.some(([verb, of]) => verb === 'override' && of === id);
        expect(mayDivideAnew(escrow, piece), `${name} ${id}`).toBe(may);
      }
    }
  });

  test('the steps say what is true: who is waited for is not who has done it', () => {
    for (const { name, escrow } of lines) {
      const steps = pathOf(escrow);
      expect(steps.filter((one) => one.state === 'current').length, name).toBeLessThanOrEqual(1);
      const [now = ''] = courseOf(escrow);
      const confirmed = escrow.confirmations.map((one) => one.party);
      if (confirmed.includes('seller')) expect(now, name).not.toContain('seller-1 delivers');
      if (escrow.status !== 'INITIATED') expect(now, name).not.toMatch(/pays\.|accepts\./);
      if (escrow.status !== 'DISPUTED') expect(now, name).not.toContain('decides who gets');
      expect(now === '', name).toBe(['RELEASED', 'REFUNDED', 'SPLIT', 'CANCELLED'].includes(escrow.status));
    }
  });
});

/** What the law allows of one piece or of the whole, and no button offers. */
function missing(escrow: Escrow, offered: string[], allowed: [string, string][]): string[] {
  const isParted = escrow.milestones.length > 0;
  return allowed
    .filter(([verb, of]) => !NOT_OFFERED.has(verb) && (!isParted || of !== '' || verb === 'cancel'))
    .filter(([verb, of]) => verb !== 'refund' || !isRefundedOtherwise(escrow, offered, of))
    .map((one) => one.join(' '))
    .filter((one) => !offered.includes(one));
}

/** A lone buyer takes all milestones back at once, and one button tries a division again. */
function isRefundedOtherwise(escrow: Escrow, offered: string[], of: string): boolean {
  const piece = escrow.milestones.find((one) => one.milestone_id === of) ?? escrow;
  return offered.includes('refund ') || (piece.status === 'SETTLING' && offered.includes(`release ${of}`));
}

function read() {
  const env = { ...process.env, PYTHONPATH: `${ROOT}:${resolve(ROOT, 'gen')}` };
  const told = execFileSync(PYTHON, ['-m', 'tests.core.law.offers'], { cwd: ROOT, env, maxBuffer: 64 << 20 });
  return told
    .toString()
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as Line)
    .map((line) => ({ ...line, escrow: readEscrow(line.escrow) }));
}

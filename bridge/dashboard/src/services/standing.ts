/**
 * What may happen to a session's token, as one table. Pure: it knows no clock, no token and no bridge.
 *
 * On the upper half the token in use is good as far as anybody knows, on the lower half it is not:
 * its time is over, or the bridge has refused it. Only an answer of the bridge makes a fresh token
 * the one in use. A cause that has no entry changes nothing.
 */

export type Standing =
  /** Nothing is to be done. */
  | 'calm'
  /** As calm, but the bridge has refused the token before this one, a moment ago. */
  | 'proving'
  /** `refreshToken` has been called. */
  | 'asking'
  /** It has failed; another try follows. */
  | 'resting'
  /** The bridge has a fresh token before it. */
  | 'offering'
  /** There will be no other token. */
  | 'spent'
  /** As asking, resting and offering, without a token that is good. */
  | 'seeking'
  | 'pausing'
  | 'returning'
  /** The session is over. */
  | 'ended';

export type Cause =
  /** The token is about to expire, or it is time for the next try. */
  | 'due'
  /** A fresh token is there, from `refreshToken` or from another tab. */
  | 'fresh'
  /** The try failed, took too long, or brought a token that is of no use. */
  | 'failed'
  /** The login server says that this user gets no token. */
  | 'denied'
  /** The bridge takes the fresh token. */
  | 'accepted'
  /** The bridge refuses the fresh token. */
  | 'refused'
  /** The bridge cannot say now, or did not answer. */
  | 'busy'
  /** The time of the token in use is over. */
  | 'over'
  /** The bridge refuses the token in use before its time is over. */
  | 'barred'
  /** The token in use has been good for a while. */
  | 'proven'
  /** All tries are used up, and the bridge has refused the token in use. */
  | 'out'
  /** The user asks to try again. */
  | 'again';

export type Deed =
  /** Call `refreshToken`. */
  | 'ask'
  /** Plan the next try. */
  | 'rest'
  /** Give the fresh token to the bridge on the open connection. */
  | 'offer'
  /** The same, a little later. */
  | 'offer later'
  /** Open a connection with the fresh token. */
  | 'open'
  /** The fresh token is the one in use from now on. */
  | 'adopt'
  /** Forget the fresh token, and plan the next try. */
  | 'forgo'
  /** Give up the session. */
  | 'end';

type Step = readonly [Standing, Deed?];
type Row = Partial<Record<Cause, Step>>;

const LAPSED = { over: ['seeking', 'ask'], barred: ['seeking', 'ask'] } as const satisfies Row;

export const TABLE: Record<Standing, Row> = {
  calm: { due: ['asking', 'ask'], fresh: ['offering', 'offer'], ...LAPSED },
  proving: {
    due: ['asking', 'ask'],
    fresh: ['offering', 'offer'],
    over: ['seeking', 'ask'],
    // The bridge refuses whatever the login server gives. Another round would bring the same.
    barred: ['ended', 'end'],
    proven: ['calm'],
  },
  asking: {
    fresh: ['offering', 'offer'],
    failed: ['resting', 'rest'],
    denied: ['spent'],
    // What is on its way still counts; nothing is asked for twice.
    over: ['seeking'],
    barred: ['seeking'],
    again: ['asking', 'ask'],
  },
  resting: {
    due: ['asking', 'ask'],
    fresh: ['offering', 'offer'],
    again: ['asking', 'ask'],
    ...LAPSED,
  },
  offering: {
    fresh: ['offering', 'offer'],
    accepted: ['calm', 'adopt'],
    refused: ['resting', 'forgo'],
    busy: ['offering', 'offer later'],
    over: ['returning', 'open'],
    barred: ['returning', 'open'],
    again: ['offering', 'offer'],
  },
  spent: {
    fresh: ['offering', 'offer'],
    over: ['ended', 'end'],
    barred: ['ended', 'end'],
    again: ['calm'],
  },
  seeking: {
    fresh: ['returning', 'open'],
    failed: ['pausing', 'rest'],
    denied: ['ended', 'end'],
    again: ['seeking', 'ask'],
  },
  pausing: {
    due: ['seeking', 'ask'],
    fresh: ['returning', 'open'],
    out: ['ended', 'end'],
    again: ['seeking', 'ask'],
  },
  returning: {
    fresh: ['returning', 'open'],
    accepted: ['proving', 'adopt'],
    refused: ['ended', 'end'],
    again: ['returning', 'open'],
  },
  ended: { fresh: ['returning', 'open'], again: ['calm'] },
};

/** Where a cause leads, and what is to be done. */
export function step(standing: Standing, cause: Cause): Step {
  return TABLE[standing][cause] ?? [standing];
}

/**
 * A session: what its node knows of a visitor. It is idle → waiting → paired, each with fields of its own, and *absent*
 * (`connected` false, until the grace ends) across all of them. `step.ts` says how it goes on.
 */
import type { Relaxation } from "../protocol/messages.ts";
import type { Call } from "./call.ts";
import type { Find, Left, Match, Wish } from "./match.ts";

export interface Idle {
  readonly name: "idle";
}
export interface Waiting {
  readonly name: "waiting";
  readonly wish: Wish;
  /** By the store's clock; undefined until the first answer. */
  readonly since?: number;
  /** What had given way by the last answer. */
  readonly relaxed: readonly Relaxation[];
  /** The page's offer, good for the call that is about to answer and no later one. */
  readonly offer?: string;
  /** Whether the visitor has heard `waiting` of the ticket as it is now. */
  readonly told: boolean;
  /** A match that is being undone and that the visitor still believes in. */
  readonly undone?: string;
  /** A pair that the store says we are in and of which its other side has not told us, and when it first said so. */
  readonly claimedIn?: { readonly pair: string; readonly at: number };
}
export interface Paired {
  readonly name: "paired";
  readonly match: Match;
  /** Whether the other side is known to have been told (M2). */
  readonly confirmed: boolean;
  /** The ticket the pair was made from, to go back to when the match is undone. */
  readonly wish: Wish;
  readonly since?: number;
  /** When another session's claim made this pair; undefined when we made it, or it was made elsewhere. */
  readonly claimedAt?: number;
  /** Since when the store, which knows of us, has known nothing of the other side. */
  readonly aloneSince?: number;
}

export interface Session {
  readonly id: string;
  readonly device: string;
  readonly epoch: number;
  readonly connected: boolean;
  /** Whether the store has said, since the visitor connected, that this node holds the session. */
  readonly vouched: boolean;
  readonly state: Idle | Waiting | Paired;
  readonly calling?: Call;
  readonly queued: readonly Call[];
  /** Signals for an absent visitor, in order, as many as there is room for (S2, `held.ts`). */
  readonly held: readonly Uint8Array[];
  readonly last?: Left & { readonly endedAt: number };
  /** The newest pairs known to be over: nothing that comes late or from elsewhere brings one of them back. */
  readonly past: readonly string[];
  /** Those of the current and the last pair whose quality is not counted (any more). */
  readonly counted: readonly string[];
  /** Whether the store has failed to answer the call under way, so that one outage is one message. */
  readonly outage: boolean;
  /** When the store last answered after an outage. What came of the attempts before, it did not say. */
  readonly outageEnded?: number;
}

/** Times that are the operator's, in ms. */
export interface SessionRules {
  grace: number;
}

export const IDLE: Idle = { name: "idle" };

export function newSession(id: string, device: string): Session {
  return {
    id,
    device,
    epoch: 1,
    connected: false,
    vouched: false,
    state: IDLE,
    queued: [{ name: "open" }],
    held: [],
    past: [],
    counted: [],
    outage: false,
  };
}

/** A session taken over from the store: what it was doing on whatever node held it. */
export function restoredSession(
  id: string,
  device: string,
  epoch: number,
  resumed:
    | { state: "idle" }
    | { state: "waiting"; wish: Wish; since: number }
    | { state: "paired"; match: Match },
): Session {
  const session = { ...newSession(id, device), epoch, queued: [] };
  if (resumed.state === "waiting") {
    return {
      ...session,
      state: { name: "waiting", wish: resumed.wish, since: resumed.since, relaxed: [], told: false },
    };
  }
  if (resumed.state === "paired") {
    const { match } = resumed;
    const wish: Wish = { mode: match.mode, interests: [], languages: [], strict: false };
    // Its quality may have been counted where it was: better not at all than twice.
    return { ...session, counted: [match.pair], state: { name: "paired", match, confirmed: true, wish } };
  }
  return session;
}

/** Whether the session is past its grace: it ends as soon as the store has heard of it, and can not be resumed. */
export function isEnding(session: Session): boolean {
  return calls(session).some(({ name }) => name === "end");
}

/** Whether a call under way or behind it will take back what the visitor looked for before. */
export function isLeaving(session: Session): boolean {
  return calls(session).some(({ name }) => name === "leave" || name === "end");
}

/** The call under way and those behind it. */
const calls = ({ calling, queued }: Session): readonly Call[] => (calling ? [calling, ...queued] : queued);

/** A waiting ticket as a question to the matcher that keeps its place. */
export function ticket(state: Waiting): Find {
  return state.since === undefined ? { wish: state.wish } : { wish: state.wish, since: state.since };
}

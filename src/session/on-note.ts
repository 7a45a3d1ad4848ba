/** What the other side says: of a pair that it has made with us, or of the one we are in. */
import type { Match, Partner } from "./match.ts";
import type { Note } from "./note.ts";
import { isLeaving } from "./session.ts";
import type { Paired } from "./session.ts";
import type { Turn } from "./turn.ts";

/** How late a claim may arrive: the store may have ended it long since, and filed our ticket again. */
const LATE_CLAIM_MS = 5_000;

export function onNote(turn: Turn, from: Partner, note: Note): void {
  const { state } = turn.session;
  if (note.type === "matched") {
    const { type: _type, offer, epoch, ...match } = note;
    claimed(turn, { ...match, partner: { ...from, epoch } }, offer);
  } else if (state.name === "paired" && state.match.pair === note.pair) {
    ofOurPair(turn, state, from, note);
  } else if (note.type === "refused" || note.type === "ended") {
    ofPastPair(turn, from, note);
  }
}

/** M2: another session has claimed this one. We take it only if our visitor is here and still waits for this. */
function claimed(turn: Turn, match: Match, offer: string | undefined): void {
  const { state, connected, past, outageEnded } = turn.session;
  if (state.name === "paired" && state.match.pair === match.pair) {
    confirm(turn, state, match.partner);
    turn.tell(match.partner, { type: "confirmed", pair: match.pair });
    // It lives elsewhere now, or this comes late, from where it lived before. The store knows.
    if (match.partner.node !== state.match.partner.node) turn.reconcile();
  } else if (
    state.name === "waiting" &&
    connected &&
    state.wish.mode === match.mode &&
    !past.includes(match.pair) &&
    !isLeaving(turn.session)
  ) {
    turn.tell(match.partner, { type: "confirmed", pair: match.pair });
    const { wish, since } = state;
    turn.pairUp({ name: "paired", match, confirmed: true, wish, since, claimedAt: turn.now });
    turn.sayMatched(match, offer === undefined ? {} : { offer });
    // A leave of ours whose answer was lost may have ended it already.
    if (outageEnded !== undefined && turn.now - outageEnded < LATE_CLAIM_MS) turn.reconcile();
  } else {
    turn.isOver(match.pair);
    turn.moved(match.pair, match.partner);
    turn.tell(match.partner, { type: "refused", pair: match.pair });
    // The store holds us for somebody who waits.
    if (state.name === "idle" && !isLeaving(turn.session)) turn.call({ name: "leave", reason: "left" });
    if (state.name === "paired") turn.reconcile();
  }
}

function ofOurPair(turn: Turn, state: Paired, from: Partner, note: Note): void {
  switch (note.type) {
    case "confirmed":
      // It may live elsewhere by now, where it says "matched".
      if (!state.confirmed) confirm(turn, state, state.match.partner);
      break;
    case "refused":
      if (!state.confirmed) turn.undo(state);
      else if (from.session === state.match.partner.session) turn.reconcile();
      break;
    case "ended":
      if (!state.confirmed) turn.undo(state);
      // Not from where the other side lives: perhaps a node that has not heard that it lives elsewhere now.
      else if (from.node !== state.match.partner.node) turn.reconcile();
      else {
        const { claimedAt, aloneSince } = state;
        const late = claimedAt !== undefined && turn.now - claimedAt < LATE_CLAIM_MS;
        turn.ended(state.match, note.reason);
        // Who undoes a match gives us our place back, which we do not want any more; and a store that does not know the
        // other side believes us in the pair still.
        if (late || aloneSince !== undefined || note.reason === "lost")
          turn.call({ name: "leave", reason: "left" });
      }
      break;
    case "matched":
    case "signal":
    case "last":
      break; // answered before
  }
}

function confirm(turn: Turn, state: Paired, partner: Match["partner"]): void {
  turn.cancel("confirm");
  turn.become({ ...state, confirmed: true, match: turn.withOther(state.match, partner) });
}

/** A pair that we are not in, or not yet: a claim that we were never told of has used up our ticket. */
function ofPastPair(
  turn: Turn,
  from: Partner,
  { type, pair }: { type: "refused" | "ended"; pair: string },
): void {
  const { state, connected, past } = turn.session;
  const news = !past.includes(pair);
  turn.isOver(pair);
  if (state.name !== "waiting" || !connected) return;
  if (type === "refused" && news) turn.undoing(state, { pair, partner: from });
  else turn.askAgain(state);
}

/** What the matcher answers. It is the arbiter: where it and our state disagree, it wins and the visitor is told. */
import { CONFIRM_TIMEOUT_MS } from "../protocol/limits.ts";
import type { Relaxation } from "../protocol/messages.ts";
import { endReason, isSuperseded, leftBy, overBy } from "./call.ts";
import type { Answer, Call } from "./call.ts";
import { asTheySee } from "./match.ts";
import type { Left, Match, Outcome } from "./match.ts";
import { IDLE, isLeaving, ticket } from "./session.ts";
import type { Paired, Waiting } from "./session.ts";
import type { Turn } from "./turn.ts";

/** How long a call that could not be made waits before it is tried again. */
const STORE_RETRY_MS = 500;
/** How long after the store has said that another node holds the session its own word may take. */
const TAKEOVER_MS = 1_000;
/** How soon another window of the same device may be worth asking for, which is for people to close. */
const CROWDED_RETRY_S = 10;

export function onAnswer(turn: Turn, answer: Answer): void {
  const { calling: call } = turn.session;
  if (call?.name !== answer.name) return;
  const outcome = "outcome" in answer ? answer.outcome : undefined;
  if (outcome?.kind === "fenced") {
    turn.timer("store", STORE_RETRY_MS);
    return;
  }
  if (isSuperseded(answer)) {
    // Who holds it now says so as well, and says more. Until then nothing is asked for this session.
    turn.timer("takeover", TAKEOVER_MS);
    return;
  }
  if (turn.session.outage) turn.change({ outage: false, outageEnded: turn.now });
  turn.change({ calling: undefined });
  if (outcome || answer.name === "restore") turn.change({ vouched: true });
  const left = leftBy(answer);
  if (left) {
    turn.isOver(left.pair);
    turn.tellEnded(left, endReason(call));
  }
  // The store may know nothing of it, and its other side hears of it all the same: also if it has heard during an outage,
  // when the store would still have told it that the pair goes on.
  const over = overBy(call);
  if (over && over.pair !== left?.pair) turn.tellEnded(over, endReason(call));
  if (outcome && outcome.kind !== "superseded") onOutcome(turn, outcome);
  else if (answer.name === "block" && answer.blocked !== "superseded") onBlocked(turn, call, answer.blocked);
  else if (answer.name === "restore") onRestored(turn, call, answer);
  else if (answer.name === "end") turn.forget();
}

/** The store could not be asked: the call is kept, and the other side of a pair that it ends is told already. */
export function onUnanswered(turn: Turn): void {
  const { calling, queued, connected, outage, state } = turn.session;
  if (!calling) return;
  turn.timer("store", STORE_RETRY_MS);
  if (outage) return;
  turn.change({ outage: true });
  for (const call of [calling, ...queued]) turn.tellAtOnce(call);
  if (connected && state.name === "waiting") turn.saySearchKept();
}

function onOutcome(turn: Turn, outcome: Exclude<Outcome, { kind: "fenced" | "superseded" }>): void {
  const { state, queued, past } = turn.session;
  if (isLeaving(turn.session)) return; // the call behind this one ends whatever came of it
  if (state.name === "waiting") {
    if (outcome.kind === "matched") {
      gaveWay(turn, state, outcome.relaxed);
      matched(turn, state, outcome.match);
    }
    // Our own claim, made by an attempt whose answer was lost: nobody else would tell of it.
    else if (
      outcome.kind === "claimed" &&
      outcome.match.role === "offerer" &&
      !past.includes(outcome.match.pair)
    )
      matched(turn, state, outcome.match);
    else if (queued.some(({ name }) => name === "find")) return; // the answer to that one counts
    else if (outcome.kind === "waiting") filed(turn, state, outcome);
    else if (outcome.kind === "crowded") crowded(turn);
    else claimedUnheard(turn, state, outcome.match);
  } else if (state.name === "idle") {
    // The pair, and with it the search, has ended while the store was asked.
    turn.call({ name: "leave", reason: "left" });
  } else if (outcome.kind === "waiting" || outcome.kind === "crowded") {
    turn.reconcile(); // filed before the claim that made our pair, or after its end?
  } else if (outcome.match.pair !== state.match.pair) {
    refuted(turn, state);
  }
}

function matched(turn: Turn, state: Waiting, match: Match): void {
  const { connected, past } = turn.session;
  const { offer, wish, since } = state;
  const { pair, partner } = match;
  if (past.includes(pair) || !connected || match.mode !== wish.mode) {
    turn.effects.push({ do: "count", what: "undone" });
    if (past.includes(pair)) turn.askAgain(state);
    else if (connected) turn.undoing(state, { pair, partner });
    else {
      turn.isOver(pair);
      turn.tell(partner, { type: "refused", pair });
    }
  } else {
    turn.pairUp({ name: "paired", match, confirmed: false, wish, since });
    turn.sayMatched(match, match.role === "offerer" ? { offerUsed: offer !== undefined } : {});
    turn.timer("confirm", CONFIRM_TIMEOUT_MS);
    turn.tell(partner, {
      type: "matched",
      ...asTheySee(match),
      epoch: turn.session.epoch,
      ...(offer === undefined ? {} : { offer }),
    });
  }
}

function filed(
  turn: Turn,
  state: Waiting,
  { since, relaxed, retryIn }: { since: number; relaxed: Relaxation[]; retryIn: number },
): void {
  const news = !state.told || state.relaxed.join() !== relaxed.join();
  const { offer: _stale, claimedIn: _settled, undone: _known, ...ticketed } = state;
  const { connected } = turn.session;
  turn.become({ ...ticketed, since, relaxed, told: connected });
  gaveWay(turn, state, relaxed);
  if (!connected) return;
  turn.timer("retry", retryIn);
  if (news) turn.effects.push({ do: "waiting", since, relaxed });
}

function gaveWay(turn: Turn, { relaxed: before }: Waiting, relaxed: readonly Relaxation[]): void {
  for (const what of relaxed) if (!before.includes(what)) turn.effects.push({ do: "gaveWay", what });
}

/** T7: the search is over before it began. */
function crowded(turn: Turn): void {
  turn.become(IDLE);
  turn.send({
    type: "error",
    code: "too_many_sessions",
    message: "this device searches and chats in too many windows, close one of them",
    retryAfter: CROWDED_RETRY_S,
  });
}

/** M2: somebody has claimed us and has two seconds to say so. */
function claimedUnheard(turn: Turn, state: Waiting, { pair, partner }: Match): void {
  const { connected, last, past } = turn.session;
  if (!connected) return;
  const at = state.claimedIn?.pair === pair ? state.claimedIn.at : turn.now;
  const remaining = at + CONFIRM_TIMEOUT_MS - turn.now;
  if (pair === last?.pair) {
    // Our side has seen this pair end; the call of the other side that ends it in the store comes after ours.
    turn.call({ name: "find", find: { ...ticket(state), leaving: pair }, over: { pair, partner } });
  } else if (past.includes(pair) || remaining <= 0) {
    turn.undoing(state, { pair, partner });
  } else {
    turn.become({ ...state, claimedIn: { pair, at } });
    turn.timer("retry", remaining);
  }
}

function onBlocked(turn: Turn, call: Call, blocked: { left?: Left; partnerDevice: string } | null): void {
  if (call.name !== "block") return;
  if (!blocked) {
    turn.send({
      type: "error",
      code: "no_such_pair",
      message: "that pair is over for too long",
      field: "pair",
    });
    // Undone before we blocked it: the place that this gave us back is not wanted any more.
    if (call.over && turn.session.state.name === "idle" && !isLeaving(turn.session))
      turn.call({ name: "leave", reason: "left" });
  } else if (call.report) {
    const { partnerDevice } = blocked;
    turn.effects.push({ do: "report", pair: call.pair, ...call.report, partnerDevice });
  }
}

function onRestored(turn: Turn, call: Call, { restored, there }: Extract<Answer, { name: "restore" }>): void {
  const { state } = turn.session;
  if (call.name !== "restore") return;
  const ours = state.name === "paired" && state.match.pair === call.match?.pair ? state : undefined;
  if (restored === "over") {
    if (ours && !ours.confirmed) turn.undo(ours);
    else refuted(turn, ours);
  } else if (ours) {
    // A store that has lost everything learns of the other side when that comes back, in its grace if ever.
    const aloneSince = restored === "alone" ? (ours.aloneSince ?? turn.now) : undefined;
    // Two that move at once may each miss where the other one went.
    const partner = { ...ours.match.partner, ...there };
    // A store that has lost moves says less than it did; it counts all the same if nothing was heard since it was asked.
    const isNewer =
      partner.epoch >= ours.match.partner.epoch || call.match?.partner.epoch === ours.match.partner.epoch;
    turn.become({ ...ours, aloneSince, match: turn.withOther(ours.match, partner, isNewer) });
    if (aloneSince === undefined) return;
    const patience = aloneSince + turn.rules.grace - turn.now;
    if (patience > 0) turn.timer("alone", patience);
    else refuted(turn, ours);
  } else if (call.match && state.name === "idle" && !isLeaving(turn.session)) {
    turn.call({ name: "leave", reason: "left" }); // it has ended while the store was told of it
  }
}

/**
 * The store knows our pair to be over. Whatever else it believes of us, a ticket, another pair, is to go as well; and the
 * other side, which may not know it either, hears it from us.
 */
function refuted(turn: Turn, state: Paired | undefined): void {
  if (state) turn.ended(state.match, "lost");
  const over = state && { pair: state.match.pair, partner: state.match.partner };
  if (turn.session.state.name === "idle" && (over || !isLeaving(turn.session)))
    turn.call({ name: "leave", reason: "lost", over });
}

/** What the visitor says. */
import { REPORT_AFTER_END_MS } from "../protocol/limits.ts";
import type {
  ClientMessage,
  EndReason,
  Find,
  Quality,
  ReportReason,
  ServerMessage,
} from "../protocol/messages.ts";
import type { Wish } from "./match.ts";
import { IDLE } from "./session.ts";
import type { Session } from "./session.ts";
import type { Turn } from "./turn.ts";

/** Only an outage of the store and a visitor who keeps reporting meanwhile can get there. */
const MAX_QUEUED_CALLS = 16;

export function onMessage(turn: Turn, message: ClientMessage, wish: Wish | undefined): void {
  switch (message.type) {
    case "find":
      if (wish) find(turn, wish, message);
      break;
    case "leave":
      if (turn.session.state.name !== "idle") leave(turn, "left");
      break;
    case "block":
      block(turn, message.pair);
      break;
    case "report":
      block(turn, message.pair, {
        reason: message.reason,
        ...(message.details ? { details: message.details } : {}),
      });
      break;
    case "quality":
      quality(turn, message);
      break;
    case "ping":
      turn.send(message.t === undefined ? { type: "pong" } : { type: "pong", t: message.t });
      break;
    case "hello":
      turn.send({
        type: "error",
        code: "invalid_message",
        message: "hello was said already",
        field: "type",
      });
      break;
    case "signal":
      break; // answered before, in `relay`
  }
}

/** Why a message that names a pair is for nobody. */
export function wrongPair(session: Session): ServerMessage {
  return session.state.name === "paired"
    ? { type: "error", code: "no_such_pair", message: "that is not the pair you are in", field: "pair" }
    : { type: "error", code: "not_paired", message: "you are in no pair" };
}

function find(turn: Turn, wish: Wish, { offer, again }: Find): void {
  const { state } = turn.session;
  // It has crossed with `matched`. One of another mode is no partner for who has changed over meanwhile.
  if (again && state.name === "paired" && state.match.mode === wish.mode) return;
  const waiting = {
    name: "waiting",
    wish,
    relaxed: [],
    told: false,
    ...(offer === undefined ? {} : { offer }),
  } as const;
  if (state.name === "waiting") {
    const { since, relaxed, claimedIn } = state;
    turn.become({ ...waiting, since, relaxed, claimedIn });
    turn.call({ name: "find", find: { wish, since: state.since } });
  } else if (state.name === "paired") {
    const over = turn.pairIsOver(state.match);
    turn.become(waiting);
    turn.call({ name: "find", find: { wish, leaving: over.pair }, over });
  } else {
    turn.become(waiting);
    turn.call({ name: "find", find: { wish } });
  }
  // It waits behind a call that the store has not answered for a while already.
  if (turn.session.outage) turn.saySearchKept();
}

function leave(turn: Turn, reason: EndReason): void {
  const { state } = turn.session;
  const over = state.name === "paired" ? turn.pairIsOver(state.match) : undefined;
  turn.cancel("retry");
  turn.become(IDLE);
  turn.call({ name: "leave", reason, over });
}

function block(turn: Turn, pair: string, report?: { reason: ReportReason; details?: string }): void {
  const { state, last, epoch } = turn.session;
  if (state.name === "waiting" && state.undone === pair) {
    leave(turn, "left"); // nobody was there to be blocked; but who blocks somebody wants to leave
    turn.send(wrongPair(turn.session));
    return;
  }
  const current = state.name === "paired" && state.match.pair === pair;
  // A session that has moved here does not know what its last pair was; the store does.
  const recent = last ? last.pair === pair && turn.now - last.endedAt <= REPORT_AFTER_END_MS : epoch > 1;
  if (!current && !recent) {
    turn.send(wrongPair(turn.session));
    return;
  }
  if (turn.session.queued.length >= MAX_QUEUED_CALLS) {
    turn.send({
      type: "error",
      code: "unavailable",
      message: "dropped, try again in a moment",
      retryAfter: 5,
    });
    return;
  }
  const over = current ? turn.pairIsOver(state.match) : undefined;
  if (current) turn.become(IDLE);
  turn.call({ name: "block", pair, report, over });
}

/** Of the current and the last pair, once each. Anything else is late, and nothing that a page could do about. */
function quality(turn: Turn, told: Quality): void {
  const { state, last, counted } = turn.session;
  const recent = last && turn.now - last.endedAt <= REPORT_AFTER_END_MS ? last.pair : undefined;
  const pairs = [state.name === "paired" ? state.match.pair : undefined, recent];
  if (!pairs.includes(told.pair) || counted.includes(told.pair)) return;
  const still = counted.filter((pair) => pairs.includes(pair));
  turn.change({ counted: [...still, told.pair] });
  turn.effects.push({ do: "quality", quality: told });
}

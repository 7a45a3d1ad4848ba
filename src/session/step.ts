/**
 * A session as a pure state machine: `step(session, event, now)` answers with the next session and the effects that
 * the node has to run. No clock, no socket, no store in here, so every interleaving can be tested.
 */
import type { Effect, TimerName } from "./effect.ts";
import type { Event } from "./event.ts";
import { hasRoom } from "./held.ts";
import { onAnswer, onUnanswered } from "./on-answer.ts";
import { onAttached, onDetached, onGraceOver, onSuperseded } from "./on-connection.ts";
import { onMessage, wrongPair } from "./on-message.ts";
import { onNote } from "./on-note.ts";
import type { Session, SessionRules } from "./session.ts";
import { Turn } from "./turn.ts";

export interface Step {
  readonly session: Session;
  readonly effects: readonly Effect[];
}

const NOTHING: readonly Effect[] = [];

/**
 * The next session and what to do about it. `now` is monotonic, in ms. Never throws for anything a stranger sends.
 */
export function step(session: Session, event: Event, now: number, rules: SessionRules): Step {
  // The hot path: a signal changes nothing, so it costs one effect and no copy.
  if (event.type === "message" && event.message.type === "signal")
    return relay(session, event.message.pair, event.raw);
  if (event.type === "note" && event.note.type === "signal")
    return receive(session, event.note.pair, event.note.raw);

  const turn = new Turn(session, now, rules);
  switch (event.type) {
    case "message":
      onMessage(turn, event.message, event.wish);
      break;
    case "attached":
      onAttached(turn, event.resumed, event.vouched);
      break;
    case "detached":
      onDetached(turn);
      break;
    case "note":
      onNote(turn, event.from, event.note);
      break;
    case "answer":
      onAnswer(turn, event.answer);
      break;
    case "unanswered":
      onUnanswered(turn);
      break;
    case "due":
      onDue(turn, event.timer);
      break;
    case "forgotten":
      turn.reconcile();
      break;
    case "superseded":
      onSuperseded(turn, event.late);
      break;
  }
  turn.startNextCall();
  return { session: turn.session, effects: turn.effects };
}

function relay(session: Session, pair: string, raw: Uint8Array): Step {
  const { state } = session;
  if (state.name === "paired" && state.match.pair === pair) {
    return {
      session,
      effects: [{ do: "tell", partner: state.match.partner, note: { type: "signal", pair, raw } }],
    };
  }
  return { session, effects: [{ do: "send", message: wrongPair(session) }] };
}

function receive(session: Session, pair: string, raw: Uint8Array): Step {
  const { state } = session;
  if (state.name !== "paired" || state.match.pair !== pair) return { session, effects: NOTHING };
  if (session.connected) return { session, effects: [{ do: "relay", raw }] };
  if (!hasRoom(session.held, raw)) return { session, effects: [{ do: "count", what: "heldDropped" }] };
  return { session: { ...session, held: [...session.held, raw] }, effects: NOTHING };
}

function onDue(turn: Turn, timer: TimerName): void {
  const { state, connected, calling } = turn.session;
  switch (timer) {
    case "grace":
      onGraceOver(turn);
      break;
    case "confirm":
      if (state.name === "paired" && !state.confirmed) turn.undo(state);
      break;
    case "retry":
      if (state.name === "waiting" && connected) turn.askAgain(state);
      break;
    case "store":
      if (calling) turn.effects.push({ do: "call", call: calling });
      break;
    case "takeover":
      onSuperseded(turn, true);
      break;
    case "alone":
      if (state.name === "paired" && state.aloneSince !== undefined) turn.reconcile();
      break;
  }
}

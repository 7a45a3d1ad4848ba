import type { EndReason, ServerMessage } from "../protocol/messages.ts";
import { endReason, enqueue, overBy, withMoved } from "./call.ts";
import type { Call } from "./call.ts";
import type { Effect, TimerName } from "./effect.ts";
import type { Left, Match, Partner } from "./match.ts";
import type { Note } from "./note.ts";
import { IDLE, isEnding, ticket } from "./session.ts";
import type { Idle, Paired, Session, SessionRules, Waiting } from "./session.ts";

/** More than a visitor can be in within the time that a note is on its way. */
const MAX_PAST_PAIRS = 8;

/**
 * One step under way: the session as it is so far, the effects so far, and the moves that several events have in common.
 * Lives no longer than `step`.
 */
export class Turn {
  session: Session;
  readonly effects: Effect[] = [];
  readonly now: number;
  readonly rules: SessionRules;

  constructor(session: Session, now: number, rules: SessionRules) {
    this.session = session;
    this.now = now;
    this.rules = rules;
  }

  change(what: Partial<Session>): void {
    this.session = { ...this.session, ...what };
  }

  become(state: Idle | Waiting | Paired): void {
    this.change({ state });
  }

  /** A pair is made. What is still to be asked for its ticket is pointless; but it may be that the store has lost us. */
  pairUp(state: Paired): void {
    const doubt = this.session.queued.some(({ name }) => name === "find" || name === "undo");
    this.cancel("retry");
    this.dropQueued("find", "undo");
    this.become(state);
    if (doubt) this.reconcile();
  }

  // The pair ends

  /** The pair has ended, and not by our visitor's doing. */
  ended(match: Match, reason: EndReason): void {
    this.pairIsOver(match);
    this.become(IDLE);
    this.send({ type: "ended", pair: match.pair, reason });
  }

  pairIsOver({ pair, partner }: Match): Left {
    this.cancel("confirm");
    this.isOver(pair);
    this.change({ held: [], last: { pair, partner, endedAt: this.now } });
    return { pair, partner };
  }

  isOver(pair: string): void {
    const past = [...this.session.past.filter((known) => known !== pair), pair].slice(-MAX_PAST_PAIRS);
    this.change({ past });
  }

  /** The other side can not be reached or did not take the match: back to the old place, without the visitor's doing. */
  undo({ wish, since, match: { pair, partner } }: Paired): void {
    const state: Waiting = { name: "waiting", wish, since, relaxed: [], told: false, undone: pair };
    this.cancel("confirm");
    this.effects.push({ do: "count", what: "undone" });
    this.change({ held: [] });
    this.become(state);
    this.undoing(state, { pair, partner });
  }

  /**
   * Its other side hears that it is over once the store has undone it, and in an outage at once as well: should it have
   * heard of the match after all, it ends there; should it wait, its ticket is out of reach until it asks again.
   */
  undoing(state: Waiting, over: Left): void {
    this.isOver(over.pair);
    this.dropQueued("find");
    this.call({ name: "undo", pair: over.pair, find: ticket(state), over });
    if (!this.session.connected) this.call({ name: "absent" });
  }

  // What is asked of the matcher

  call(call: Call): void {
    this.change({ queued: enqueue(this.session.queued, call) });
    if (this.session.outage) this.tellAtOnce(call);
  }

  /** The other side of a pair that we are ending has moved: it is to hear of the end where it lives now. */
  moved(pair: string, partner: Partner): void {
    const { calling, queued } = this.session;
    this.change({
      calling: calling && withMoved(calling, pair, partner),
      queued: queued.map((call) => withMoved(call, pair, partner)),
    });
  }

  /** The match with its other side where that lives, by the newest word; where it was hears that we say no more there. */
  withOther(match: Match, partner: Match["partner"], isNewer = partner.epoch >= match.partner.epoch): Match {
    const { pair, partner: known } = match;
    const isSame = partner.epoch === known.epoch && partner.node === known.node;
    const older = isNewer ? known : partner;
    if (!isSame) this.tell(older, { type: "last", pair, epoch: older.epoch });
    return isNewer ? { ...match, partner } : match;
  }

  dropQueued(...names: Call["name"][]): void {
    this.change({ queued: this.session.queued.filter(({ name }) => !names.includes(name)) });
  }

  askAgain(state: Waiting): void {
    this.call({ name: "find", find: ticket(state) });
  }

  /** Asks the store what is the case, and tells it what we know where it knows nothing. */
  reconcile(): void {
    const { state, connected } = this.session;
    if (isEnding(this.session)) return;
    this.call(state.name === "paired" ? { name: "restore", match: state.match } : { name: "restore" });
    if (state.name === "waiting" && connected) this.askAgain(state); // this files what the store has lost
  }

  startNextCall(): void {
    const [call, ...queued] = this.session.queued;
    if (!call || this.session.calling) return;
    this.change({ calling: call, queued });
    this.effects.push({ do: "call", call });
  }

  // What the other side is told

  tell(partner: Partner, note: Note): void {
    this.effects.push({ do: "tell", partner, note });
  }

  /** The other side of a pair that a call ends need not wait for the store to come back. */
  tellAtOnce(call: Call): void {
    const over = overBy(call);
    if (over) this.tellEnded(over, endReason(call));
  }

  tellEnded({ partner, pair }: Left, reason: EndReason): void {
    this.tell(partner, { type: "ended", pair, reason });
  }

  // What the visitor is told

  send(message: ServerMessage): void {
    if (this.session.connected) this.effects.push({ do: "send", message });
  }

  sayMatched(match: Match, more: { offer?: string; offerUsed?: boolean }): void {
    const { pair, mode, role, common } = match;
    this.send({ type: "matched", pair, mode, role, ...more, common });
  }

  saySearchKept(): void {
    this.send({
      type: "error",
      code: "unavailable",
      message: "the search is kept and goes on by itself as soon as it can",
      retryAfter: 1,
    });
  }

  timer(timer: TimerName, after: number): void {
    this.effects.push({ do: "timer", timer, after });
  }

  cancel(timer: TimerName): void {
    this.effects.push({ do: "cancel", timer });
  }

  forget(): void {
    this.change({ connected: false, state: IDLE, calling: undefined, queued: [], held: [] });
    this.effects.push({ do: "forget" });
  }
}

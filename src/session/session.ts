/**
 * A session as a pure state machine: `step(session, event, now)` answers with the next session and the effects that
 * the node has to run. No clock, no socket, no store in here, so every interleaving can be tested.
 *
 * States: idle → waiting → paired, and *absent* (`connected` false, until the grace ends) across all of them.
 *
 * Calls to the matcher go out one at a time, in order: what a visitor wants next waits its turn or replaces what has
 * become pointless. The matcher is the arbiter; where its answer and this state disagree,
 * the answer wins and the visitor is told.
 */
import { CloseCode } from "../protocol/close-codes.ts";
import { CONFIRM_TIMEOUT_MS, MAX_HELD_SIGNALS, REPORT_AFTER_END_MS } from "../protocol/limits.ts";
import type {
  ClientMessage,
  EndReason,
  Find as FindMessage,
  Quality,
  Relaxation,
  ReportReason,
  ServerMessage,
} from "../protocol/messages.ts";
import { asTheySee } from "./match.ts";
import type { Find, Left, Match, Outcome, Partner, Wish } from "./match.ts";

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
  /** Whether the store, which knows of us, knew nothing of the other side when it was last asked. */
  readonly alone?: boolean;
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
  /** Signals for an absent visitor, in order, at most 64 (S2). */
  readonly held: readonly Uint8Array[];
  readonly last?: Left & { readonly endedAt: number };
  /** The newest pairs known to be over: nothing that comes late or from elsewhere brings one of them back. */
  readonly past: readonly string[];
  /** Those of the current and the last pair whose quality is not counted (any more). */
  readonly counted: readonly string[];
  /** Whether the store has failed to answer the call under way, so that one outage is one message. */
  readonly outage: boolean;
}

/** What is asked of the matcher. `over` is the pair that ends with it, as far as we know: its other side is told. */
export type Call =
  | { readonly name: "open" }
  | { readonly name: "find"; readonly find: Find; readonly over?: Left }
  | { readonly name: "undo"; readonly pair: string; readonly find: Find; readonly over: Left }
  | { readonly name: "absent" }
  | { readonly name: "leave"; readonly reason: EndReason; readonly over?: Left }
  | {
      readonly name: "block";
      readonly pair: string;
      readonly report?: { reason: ReportReason; details?: string };
      readonly over?: Left;
    }
  | { readonly name: "restore"; readonly match?: Match }
  | { readonly name: "end"; readonly over?: Left };

export type Answer =
  | { readonly name: "open" | "absent" }
  /** `partnerNode`: where the other side lives, as far as the store knows. */
  | {
      readonly name: "restore";
      readonly restored: "held" | "over" | "alone" | "superseded";
      readonly partnerNode?: string;
    }
  | { readonly name: "find" | "undo"; readonly outcome: Outcome }
  | { readonly name: "leave" | "end"; readonly left?: Left | "superseded" }
  | {
      readonly name: "block";
      readonly blocked: { left?: Left; partnerDevice: string } | "superseded" | null;
    };

export interface Signal {
  readonly type: "signal";
  readonly pair: string;
  readonly raw: Uint8Array;
}

/** What one session tells the other side of its pair, on whatever node that is. */
export type Note =
  /** You are matched, and I am here; all as the receiver sees it. Said by a claim, and after a move to another node. */
  | ({ readonly type: "matched"; readonly offer?: string } & Omit<Match, "partner">)
  | { readonly type: "confirmed"; readonly pair: string }
  /** This match is not to be: take it back. */
  | { readonly type: "refused"; readonly pair: string }
  | { readonly type: "ended"; readonly pair: string; readonly reason: EndReason }
  | Signal;

export type TimerName = "grace" | "confirm" | "retry" | "store" | "takeover" | "alone";

export type Event =
  /** A parsed message; `raw` is the frame as it came. `wish` is the normalised wish of a `find`. */
  | {
      readonly type: "message";
      readonly message: ClientMessage;
      readonly raw: Uint8Array;
      readonly wish?: Wish;
    }
  /** `vouched`: the store has been asked, and says that this node holds the session. */
  | { readonly type: "attached"; readonly resumed: boolean; readonly vouched: boolean }
  | { readonly type: "detached" }
  | { readonly type: "note"; readonly from: Partner; readonly note: Note }
  | { readonly type: "answer"; readonly answer: Answer }
  /** The store could not be asked; the call is still to be done. */
  | { readonly type: "unanswered" }
  | { readonly type: "due"; readonly timer: TimerName }
  /** What the store knows of this session may be something else or nothing. */
  | { readonly type: "forgotten" }
  /** Another node holds this session now. `late`: for a connection that may be older than ours. */
  | { readonly type: "superseded"; readonly late: boolean };

export type Effect =
  | { readonly do: "welcome"; readonly resumed: boolean }
  | { readonly do: "send"; readonly message: ServerMessage }
  /** A `waiting` message; the node knows the numbers that go with it. */
  | { readonly do: "waiting"; readonly since: number; readonly relaxed: readonly Relaxation[] }
  /** A preference of a ticket gave way (M6, M4), for the first time. */
  | { readonly do: "gaveWay"; readonly what: Relaxation }
  /** Bytes that are a message already. */
  | { readonly do: "relay"; readonly raw: Uint8Array }
  | { readonly do: "tell"; readonly partner: Partner; readonly note: Note }
  | { readonly do: "call"; readonly call: Call }
  | { readonly do: "timer"; readonly timer: TimerName; readonly after: number }
  | { readonly do: "cancel"; readonly timer: TimerName }
  | { readonly do: "close"; readonly code: CloseCode }
  | {
      readonly do: "report";
      readonly pair: string;
      readonly reason: ReportReason;
      readonly details?: string;
      readonly partnerDevice: string;
    }
  | { readonly do: "quality"; readonly quality: Quality }
  | { readonly do: "count"; readonly what: "undone" | "refused" | "heldDropped" }
  /** The session is over; the node forgets it. */
  | { readonly do: "forget" };

/** Times that are the operator's, in ms. */
export interface SessionRules {
  grace: number;
}

/** How long a call that could not be made waits before it is tried again. */
const STORE_RETRY_MS = 500;
/** How long after the store has said that another node holds the session its own word may take. */
const TAKEOVER_MS = 1_000;
/** Only an outage of the store and a visitor who keeps reporting meanwhile can get there. */
const MAX_QUEUED_CALLS = 16;
/** How soon another window of the same device may be worth asking for, which is for people to close. */
const CROWDED_RETRY_S = 10;
/** How late a claim may arrive: the store may have ended it long since, and filed our ticket again. */
const LATE_CLAIM_MS = 5_000;
/** More than a visitor can be in within the time that a note is on its way. */
const MAX_PAST_PAIRS = 8;
const IDLE: Idle = { name: "idle" };
const NOTHING: readonly Effect[] = [];

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
  return session.calling?.name === "end" || session.queued.some((call) => call.name === "end");
}

export interface Step {
  readonly session: Session;
  readonly effects: readonly Effect[];
}

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
      turn.onMessage(event.message, event.wish);
      break;
    case "attached":
      turn.onAttached(event.resumed, event.vouched);
      break;
    case "detached":
      turn.onDetached();
      break;
    case "note":
      turn.onNote(event.from, event.note);
      break;
    case "answer":
      turn.onAnswer(event.answer);
      break;
    case "unanswered":
      turn.onUnanswered();
      break;
    case "due":
      turn.onDue(event.timer);
      break;
    case "forgotten":
      turn.onForgotten();
      break;
    case "superseded":
      turn.onSuperseded(event.late);
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
  if (session.held.length >= MAX_HELD_SIGNALS)
    return { session, effects: [{ do: "count", what: "heldDropped" }] };
  return { session: { ...session, held: [...session.held, raw] }, effects: NOTHING };
}

function wrongPair(session: Session): ServerMessage {
  return session.state.name === "paired"
    ? { type: "error", code: "no_such_pair", message: "that is not the pair you are in", field: "pair" }
    : { type: "error", code: "not_paired", message: "you are in no pair" };
}

/** One step under way: the session as it is so far, and the effects so far. Lives no longer than `step`. */
class Turn {
  session: Session;
  readonly effects: Effect[] = [];
  readonly #now: number;
  readonly #rules: SessionRules;

  constructor(session: Session, now: number, rules: SessionRules) {
    this.session = session;
    this.#now = now;
    this.#rules = rules;
  }

  // What the visitor says

  onMessage(message: ClientMessage, wish: Wish | undefined): void {
    switch (message.type) {
      case "find":
        if (wish) this.#find(wish, message);
        break;
      case "leave":
        if (this.session.state.name !== "idle") this.#leave("left");
        break;
      case "block":
        this.#block(message.pair);
        break;
      case "report":
        this.#block(message.pair, {
          reason: message.reason,
          ...(message.details ? { details: message.details } : {}),
        });
        break;
      case "quality":
        this.#quality(message);
        break;
      case "ping":
        this.#send(message.t === undefined ? { type: "pong" } : { type: "pong", t: message.t });
        break;
      case "hello":
        this.#send({
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

  #find(wish: Wish, { offer, again }: FindMessage): void {
    const { state } = this.session;
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
      const { since, relaxed, claimedIn, undone } = state;
      this.#become({ ...waiting, since, relaxed, claimedIn, undone });
      this.#call({ name: "find", find: { wish, since: state.since } });
    } else if (state.name === "paired") {
      const over = this.#pairIsOver(state.match);
      this.#become(waiting);
      this.#call({ name: "find", find: { wish, leaving: over.pair }, over });
    } else {
      this.#become(waiting);
      this.#call({ name: "find", find: { wish } });
    }
    // It waits behind a call that the store has not answered for a while already.
    if (this.session.outage) this.#saySearchKept();
  }

  #leave(reason: EndReason): void {
    const { state } = this.session;
    const over = state.name === "paired" ? this.#pairIsOver(state.match) : undefined;
    this.#cancel("retry");
    this.#become(IDLE);
    this.#call({ name: "leave", reason, over });
  }

  #block(pair: string, report?: { reason: ReportReason; details?: string }): void {
    const { state, last, epoch } = this.session;
    if (state.name === "waiting" && state.undone === pair) {
      this.#leave("left"); // nobody was there to be blocked; but who blocks somebody wants to leave
      this.#send(wrongPair(this.session));
      return;
    }
    const current = state.name === "paired" && state.match.pair === pair;
    // A session that has moved here does not know what its last pair was; the store does.
    const recent = last ? last.pair === pair && this.#now - last.endedAt <= REPORT_AFTER_END_MS : epoch > 1;
    if (!current && !recent) {
      this.#send(wrongPair(this.session));
      return;
    }
    if (this.session.queued.length >= MAX_QUEUED_CALLS) {
      this.#send({
        type: "error",
        code: "unavailable",
        message: "dropped, try again in a moment",
        retryAfter: 5,
      });
      return;
    }
    const over = current ? this.#pairIsOver(state.match) : undefined;
    if (current) this.#become(IDLE);
    this.#call({ name: "block", pair, report, over });
  }

  /** Of the current and the last pair, once each. Anything else is late, and nothing that a page could do about. */
  #quality(quality: Quality): void {
    const { state, last, counted } = this.session;
    const recent = last && this.#now - last.endedAt <= REPORT_AFTER_END_MS ? last.pair : undefined;
    const pairs = [state.name === "paired" ? state.match.pair : undefined, recent];
    if (!pairs.includes(quality.pair) || counted.includes(quality.pair)) return;
    const still = counted.filter((pair) => pairs.includes(pair));
    this.session = { ...this.session, counted: [...still, quality.pair] };
    this.effects.push({ do: "quality", quality });
  }

  // The connection

  onAttached(resumed: boolean, vouched: boolean): void {
    const { state, held } = this.session;
    this.session = { ...this.session, connected: true, vouched, held: [] };
    this.#cancel("grace");
    this.effects.push({ do: "welcome", resumed });
    for (const raw of held) this.effects.push({ do: "relay", raw });
    if (state.name === "waiting") {
      const { offer: _ofAnotherPage, undone: _known, ...ticketed } = state;
      this.#become({ ...ticketed, told: false });
    }
    // It may have been elsewhere since, or be elsewhere now: another resume of the same session may be on its way.
    if (resumed) this.onForgotten();
  }

  onDetached(): void {
    this.session = { ...this.session, connected: false };
    this.#cancel("retry");
    this.effects.push({ do: "timer", timer: "grace", after: this.#rules.grace });
    if (this.session.state.name === "waiting") this.#call({ name: "absent" });
  }

  /**
   * S3: this connection is older than the one that the session has elsewhere, unless that one came late or the store
   * has not vouched for ours: then nobody knows which is the newer one, and ours may ask again.
   */
  onSuperseded(late: boolean): void {
    const { connected, vouched } = this.session;
    const code = vouched && !late ? CloseCode.superseded : CloseCode.elsewhere;
    if (connected) this.effects.push({ do: "close", code });
    this.#forget();
  }

  /** Asks the store what is the case, and tells it what we know where it knows nothing. */
  onForgotten(): void {
    const { state, connected } = this.session;
    if (isEnding(this.session)) return;
    if (state.name === "waiting" && connected) this.#askAgain(state); // a `find` files what the store has lost
    else this.#call(state.name === "paired" ? { name: "restore", match: state.match } : { name: "restore" });
  }

  // What the other side says

  onNote(from: Partner, note: Note): void {
    if (note.type === "matched") {
      const { type: _type, offer, ...match } = note;
      this.#claimed({ ...match, partner: from }, offer);
    } else if (this.session.state.name === "paired" && this.session.state.match.pair === note.pair) {
      this.#noteOfOurPair(this.session.state, from, note);
    } else if (note.type === "refused" || note.type === "ended") {
      this.#noteOfPastPair(from, note);
    }
  }

  #noteOfOurPair(state: Paired, from: Partner, note: Note): void {
    switch (note.type) {
      case "confirmed":
        this.#confirm(state, from);
        break;
      case "refused":
        if (!state.confirmed) this.#undo(state);
        else if (from.session === state.match.partner.session) this.onForgotten();
        break;
      case "ended":
        if (!state.confirmed) this.#undo(state);
        // Not from where the other side lives: perhaps a node that has not heard that it lives elsewhere now.
        else if (from.node !== state.match.partner.node) this.onForgotten();
        else {
          const late = state.claimedAt !== undefined && this.#now - state.claimedAt < LATE_CLAIM_MS;
          this.#ended(state.match, note.reason);
          if (late) this.#call({ name: "leave", reason: "left" });
        }
        break;
      case "matched":
      case "signal":
        break; // answered before
    }
  }

  /** A pair that we are not in, or not yet: a claim that we were never told of has used up our ticket. */
  #noteOfPastPair(from: Partner, { type, pair }: { type: "refused" | "ended"; pair: string }): void {
    const { state, connected, past } = this.session;
    const news = !past.includes(pair);
    this.#isOver(pair);
    if (state.name !== "waiting" || !connected) return;
    if (type === "refused" && news) this.#undoing(state, { pair, partner: from });
    else this.#askAgain(state);
  }

  /** M2: another session has claimed this one. We take it only if our visitor is here and still waits for this. */
  #claimed(match: Match, offer: string | undefined): void {
    const { state, connected, past } = this.session;
    if (state.name === "paired" && state.match.pair === match.pair) {
      this.#confirm(state, match.partner);
      this.#tell(match.partner, { type: "confirmed", pair: match.pair });
    } else if (
      state.name === "waiting" &&
      connected &&
      state.wish.mode === match.mode &&
      !past.includes(match.pair) &&
      !this.#isLeaving()
    ) {
      this.#tell(match.partner, { type: "confirmed", pair: match.pair });
      this.#cancel("retry");
      this.#dropQueued("find", "undo");
      const { wish, since } = state;
      this.#become({ name: "paired", match, confirmed: true, wish, since, claimedAt: this.#now });
      this.#sayMatched(match, offer === undefined ? {} : { offer });
    } else {
      this.#isOver(match.pair);
      this.#tell(match.partner, { type: "refused", pair: match.pair });
      // The store holds us for somebody who waits.
      if (state.name === "idle" && !this.#isLeaving()) this.#call({ name: "leave", reason: "left" });
      if (state.name === "paired") this.onForgotten();
    }
  }

  #confirm(state: Paired, partner: Partner): void {
    this.#cancel("confirm");
    this.#become({ ...state, confirmed: true, match: { ...state.match, partner } });
  }

  // What the matcher answers

  onAnswer(answer: Answer): void {
    const { calling: call, outage } = this.session;
    if (call?.name !== answer.name) return;
    const outcome = "outcome" in answer ? answer.outcome : undefined;
    if (outcome?.kind === "fenced") {
      this.#timer("store", STORE_RETRY_MS);
      return;
    }
    if (isSuperseded(answer)) {
      // Who holds it now says so as well, and says more. Until then nothing is asked for this session.
      this.#timer("takeover", TAKEOVER_MS);
      return;
    }
    this.session = { ...this.session, calling: undefined, outage: false };
    if (outcome || answer.name === "restore") this.session = { ...this.session, vouched: true };
    const left = leftBy(answer);
    if (left) {
      this.#isOver(left.pair);
      this.#tellEnded(left, endReason(call));
    }
    // The store may know nothing of it, and its other side hears of it all the same; during an outage it has heard.
    const over = overBy(call);
    if (over && over.pair !== left?.pair && !outage) this.#tellEnded(over, endReason(call));
    if (outcome && outcome.kind !== "superseded") this.#onOutcome(outcome);
    else if (answer.name === "block" && answer.blocked !== "superseded")
      this.#onBlocked(call, answer.blocked);
    else if (answer.name === "restore") this.#onRestored(call, answer);
    else if (answer.name === "end") this.#forget();
  }

  #onOutcome(outcome: Exclude<Outcome, { kind: "fenced" | "superseded" }>): void {
    const { state } = this.session;
    if (this.#isLeaving()) return; // the call behind this one ends whatever came of it
    if (state.name === "waiting") {
      if (outcome.kind === "matched") this.#matched(state, outcome.match);
      else if (this.session.queued.some(({ name }) => name === "find")) return; // the answer to that one counts
      else if (outcome.kind === "waiting")
        this.#filed(state, outcome.since, outcome.relaxed, outcome.retryIn);
      else if (outcome.kind === "crowded") this.#crowded();
      else this.#claimedUnheard(state, outcome.match);
    } else if (state.name === "idle") {
      // The pair, and with it the search, has ended while the store was asked.
      this.#call({ name: "leave", reason: "left" });
    } else if (outcome.kind === "waiting" || outcome.kind === "crowded") {
      this.onForgotten(); // filed before the claim that made our pair, or after its end?
    } else if (outcome.match.pair !== state.match.pair) {
      this.#ended(state.match, "lost");
      this.#call({ name: "leave", reason: "left" });
    }
  }

  #matched(state: Waiting, match: Match): void {
    const { offer, wish, since } = state;
    const { pair, partner } = match;
    if (this.session.past.includes(pair)) {
      this.#askAgain(state);
    } else if (!this.session.connected) {
      this.#isOver(pair);
      this.#tell(partner, { type: "refused", pair });
    } else if (match.mode !== wish.mode) {
      this.#undoing(state, { pair, partner });
    } else {
      this.#cancel("retry");
      this.#dropQueued("find", "undo");
      this.#become({ name: "paired", match, confirmed: false, wish, since });
      this.#sayMatched(match, match.role === "offerer" ? { offerUsed: offer !== undefined } : {});
      this.#timer("confirm", CONFIRM_TIMEOUT_MS);
      this.#tellMatched(match, offer);
    }
  }

  #filed(state: Waiting, since: number, relaxed: Relaxation[], retryIn: number): void {
    const news = !state.told || state.relaxed.join() !== relaxed.join();
    const { offer: _stale, claimedIn: _settled, undone: _known, ...ticketed } = state;
    const { connected } = this.session;
    this.#become({ ...ticketed, since, relaxed, told: connected });
    for (const what of relaxed) {
      if (!state.relaxed.includes(what)) this.effects.push({ do: "gaveWay", what });
    }
    if (!connected) return;
    this.#timer("retry", retryIn);
    if (news) this.effects.push({ do: "waiting", since, relaxed });
  }

  /** T7: the search is over before it began. */
  #crowded(): void {
    this.#become(IDLE);
    this.#send({
      type: "error",
      code: "too_many_sessions",
      message: "this device searches and chats in too many windows, close one of them",
      retryAfter: CROWDED_RETRY_S,
    });
  }

  /** M2: somebody has claimed us and has two seconds to say so. */
  #claimedUnheard(state: Waiting, { pair, partner }: Match): void {
    const { connected, last, past } = this.session;
    if (!connected) return;
    const at = state.claimedIn?.pair === pair ? state.claimedIn.at : this.#now;
    const remaining = at + CONFIRM_TIMEOUT_MS - this.#now;
    if (pair === last?.pair) {
      // Our side has seen this pair end; the call of the other side that ends it in the store comes after ours.
      this.#call({ name: "find", find: { ...ticket(state), leaving: pair }, over: { pair, partner } });
    } else if (past.includes(pair) || remaining <= 0) {
      this.#undoing(state, { pair, partner });
    } else {
      this.#become({ ...state, claimedIn: { pair, at } });
      this.#timer("retry", remaining);
    }
  }

  #onBlocked(call: Call, blocked: { left?: Left; partnerDevice: string } | null): void {
    if (call.name !== "block") return;
    if (!blocked) {
      this.#send({
        type: "error",
        code: "no_such_pair",
        message: "that pair is over for too long",
        field: "pair",
      });
    } else if (call.report) {
      const { partnerDevice } = blocked;
      this.effects.push({ do: "report", pair: call.pair, ...call.report, partnerDevice });
    }
  }

  #onRestored(call: Call, { restored, partnerNode }: Extract<Answer, { name: "restore" }>): void {
    const { state } = this.session;
    if (call.name !== "restore") return;
    const ours = state.name === "paired" && state.match.pair === call.match?.pair ? state : undefined;
    if (restored === "over") {
      if (ours && !ours.confirmed) this.#undo(ours);
      else this.#refuted(ours);
    } else if (restored === "alone" && ours?.alone) {
      this.#refuted(ours);
    } else if (ours) {
      // A store that has lost everything learns of the other side when that comes back, in its grace if ever.
      const alone = restored === "alone";
      // Two that move at once may each miss where the other one went.
      const partner = { ...ours.match.partner, ...(partnerNode !== undefined && { node: partnerNode }) };
      this.#become({ ...ours, alone, match: { ...ours.match, partner } });
      if (alone) this.#timer("alone", this.#rules.grace);
    }
  }

  /** The store knows our pair to be over. Whatever else it believes of us, a ticket, another pair, is to go as well. */
  #refuted(state: Paired | undefined): void {
    if (state) this.#ended(state.match, "lost");
    if (this.session.state.name === "idle") this.#call({ name: "leave", reason: "left" });
  }

  onUnanswered(): void {
    const { calling, connected, outage, state } = this.session;
    if (!calling) return;
    this.#timer("store", STORE_RETRY_MS);
    if (outage) return;
    this.session = { ...this.session, outage: true };
    const over = overBy(calling);
    if (over) this.#tellEnded(over, endReason(calling)); // they need not wait for the store to come back
    if (connected && state.name === "waiting") this.#saySearchKept();
  }

  // Timers

  onDue(timer: TimerName): void {
    const { state, connected, calling } = this.session;
    switch (timer) {
      case "grace": {
        if (connected) return;
        const over = state.name === "paired" ? this.#pairIsOver(state.match) : undefined;
        this.#become(IDLE);
        this.#call({ name: "end", over });
        break;
      }
      case "confirm":
        if (state.name === "paired" && !state.confirmed) this.#undo(state);
        break;
      case "retry":
        if (state.name === "waiting" && connected) this.#askAgain(state);
        break;
      case "store":
        if (calling) this.effects.push({ do: "call", call: calling });
        break;
      case "takeover":
        this.onSuperseded(true);
        break;
      case "alone":
        if (state.name === "paired" && state.alone) this.onForgotten();
        break;
    }
  }

  // Parts of the above

  /** The other side can not be reached or did not take the match: back to the old place, without the visitor's doing. */
  #undo({ wish, since, match: { pair, partner } }: Paired): void {
    const state: Waiting = { name: "waiting", wish, since, relaxed: [], told: false, undone: pair };
    this.#cancel("confirm");
    this.effects.push({ do: "count", what: "undone" });
    this.#become(state);
    this.#undoing(state, { pair, partner });
  }

  /**
   * Its other side hears that it is over once the store has undone it: should it have heard of the match after all,
   * it ends there; should it wait, its ticket is out of reach until it asks again.
   */
  #undoing(state: Waiting, over: Left): void {
    this.#isOver(over.pair);
    this.#dropQueued("find");
    this.#call({ name: "undo", pair: over.pair, find: ticket(state), over });
    if (!this.session.connected) this.#call({ name: "absent" });
  }

  #askAgain(state: Waiting): void {
    this.#call({ name: "find", find: ticket(state) });
  }

  /** The pair has ended, and not by our visitor's doing. */
  #ended(match: Match, reason: EndReason): void {
    this.#pairIsOver(match);
    this.#become(IDLE);
    this.#send({ type: "ended", pair: match.pair, reason });
  }

  #pairIsOver({ pair, partner }: Match): Left {
    this.#cancel("confirm");
    this.#isOver(pair);
    this.session = { ...this.session, held: [], last: { pair, partner, endedAt: this.#now } };
    return { pair, partner };
  }

  #isOver(pair: string): void {
    const past = [...this.session.past.filter((known) => known !== pair), pair].slice(-MAX_PAST_PAIRS);
    this.session = { ...this.session, past };
  }

  /** Whether a call under way or behind it will take back what the visitor looked for before. */
  #isLeaving(): boolean {
    const { calling, queued } = this.session;
    return [calling, ...queued].some((call) => call?.name === "leave" || call?.name === "end");
  }

  #become(state: Idle | Waiting | Paired): void {
    this.session = { ...this.session, state };
  }

  /** Queues a call, in place of those queued ones that it makes pointless. */
  #call(call: Call): void {
    let { queued } = this.session;
    let added = call;
    if (call.name === "leave" || call.name === "end") {
      const over = call.over ?? queued.map(overBy).findLast((left) => left !== undefined);
      added = { ...call, over };
      queued = queued.filter(({ name }) => name === "open" || name === "block" || name === "restore");
    } else if (call.name === "find" || call.name === "absent") {
      // A find that also ends a pair must not be lost.
      queued = queued.filter(
        (q) => q.name !== "absent" && (q.name !== "find" || q.find.leaving !== undefined),
      );
    } else if (call.name === "restore") {
      queued = queued.filter(({ name }) => name !== "restore");
    }
    this.session = { ...this.session, queued: [...queued, added] };
  }

  #dropQueued(...names: Call["name"][]): void {
    this.session = {
      ...this.session,
      queued: this.session.queued.filter(({ name }) => !names.includes(name)),
    };
  }

  startNextCall(): void {
    const [call, ...queued] = this.session.queued;
    if (!call || this.session.calling) return;
    this.session = { ...this.session, calling: call, queued };
    this.effects.push({ do: "call", call });
  }

  #tellEnded({ partner, pair }: Left, reason: EndReason): void {
    this.#tell(partner, { type: "ended", pair, reason });
  }

  #tellMatched(match: Match, offer?: string): void {
    this.#tell(match.partner, {
      type: "matched",
      ...asTheySee(match),
      ...(offer === undefined ? {} : { offer }),
    });
  }

  #tell(partner: Partner, note: Note): void {
    this.effects.push({ do: "tell", partner, note });
  }

  #saySearchKept(): void {
    this.#send({
      type: "error",
      code: "unavailable",
      message: "the search is kept and goes on by itself as soon as it can",
      retryAfter: 1,
    });
  }

  #sayMatched(match: Match, more: { offer?: string; offerUsed?: boolean }): void {
    const { pair, mode, role, common } = match;
    this.#send({ type: "matched", pair, mode, role, ...more, common });
  }

  #send(message: ServerMessage): void {
    if (this.session.connected) this.effects.push({ do: "send", message });
  }

  #timer(timer: TimerName, after: number): void {
    this.effects.push({ do: "timer", timer, after });
  }

  #cancel(timer: TimerName): void {
    this.effects.push({ do: "cancel", timer });
  }

  #forget(): void {
    this.session = {
      ...this.session,
      connected: false,
      state: IDLE,
      calling: undefined,
      queued: [],
      held: [],
    };
    this.effects.push({ do: "forget" });
  }
}

/** A waiting ticket as a question to the matcher that keeps its place. */
function ticket(state: Waiting): Find {
  return state.since === undefined ? { wish: state.wish } : { wish: state.wish, since: state.since };
}

/** The pair that this call ends, as far as we know. */
function overBy(call: Call): Left | undefined {
  return "over" in call ? call.over : undefined;
}

function isSuperseded(answer: Answer): boolean {
  if (answer.name === "leave" || answer.name === "end") return answer.left === "superseded";
  if (answer.name === "block") return answer.blocked === "superseded";
  if (answer.name === "restore") return answer.restored === "superseded";
  return "outcome" in answer && answer.outcome.kind === "superseded";
}

/** The pair that the store has ended with this answer. */
function leftBy(answer: Answer): Left | undefined {
  if (answer.name === "leave" || answer.name === "end")
    return answer.left === "superseded" ? undefined : answer.left;
  if (answer.name === "block") return answer.blocked === "superseded" ? undefined : answer.blocked?.left;
  return "outcome" in answer && "left" in answer.outcome ? answer.outcome.left : undefined;
}

/** Why the pair ends that this call ends. */
function endReason(call: Call): EndReason {
  switch (call.name) {
    case "find":
      return "next";
    case "leave":
      return call.reason;
    case "block":
      return "blocked";
    default:
      return "lost";
  }
}

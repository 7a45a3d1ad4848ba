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
  Relaxation,
  ReportReason,
  ServerMessage,
} from "../protocol/messages.ts";
import type { Find, Left, Match, Outcome, Partner, Wish } from "./match.ts";

export interface Idle {
  readonly name: "idle";
}
export interface Waiting {
  readonly name: "waiting";
  readonly wish: Wish;
  /** By the store's clock; undefined until the first answer. */
  readonly since?: number;
  readonly relaxed: readonly Relaxation[];
  /** The page's offer, good for the call that is about to answer and no later one. */
  readonly offer?: string;
  /** Whether the visitor has heard `waiting` of the ticket as it is now. */
  readonly told: boolean;
  /** A pair that the store says we are in and of which its other side has not told us yet. */
  readonly claimedIn?: string;
}
export interface Paired {
  readonly name: "paired";
  readonly match: Match;
  /** Whether the other side is known to have been told (M2). */
  readonly confirmed: boolean;
  /** The ticket the pair was made from, to go back to when the match is undone. */
  readonly wish: Wish;
  readonly since?: number;
}

export interface Session {
  readonly id: string;
  readonly device: string;
  readonly epoch: number;
  readonly connected: boolean;
  readonly state: Idle | Waiting | Paired;
  readonly calling?: Call;
  readonly queued: readonly Call[];
  /** Signals for an absent visitor, in order, at most 64 (S2). */
  readonly held: readonly Uint8Array[];
  readonly last?: Left & { readonly endedAt: number };
  /** Whether the store has failed to answer the call under way, so that one outage is one message. */
  readonly outage: boolean;
}

/** What is asked of the matcher. */
export type Call =
  | { readonly name: "open" }
  | { readonly name: "find"; readonly find: Find }
  | { readonly name: "undo"; readonly pair: string; readonly find: Find; readonly unreached?: Partner }
  | { readonly name: "absent" }
  | { readonly name: "leave"; readonly reason: EndReason }
  | {
      readonly name: "block";
      readonly pair: string;
      readonly report?: { reason: ReportReason; details?: string };
    }
  | { readonly name: "restore"; readonly match?: Match }
  | { readonly name: "end" };

export type Answer =
  | { readonly name: "open" | "absent" }
  | { readonly name: "restore"; readonly restored: "held" | "over" | "superseded" }
  | { readonly name: "find" | "undo"; readonly outcome: Outcome }
  | { readonly name: "leave" | "end"; readonly left?: Left }
  | { readonly name: "block"; readonly blocked: { left?: Left; partnerDevice: string } | null };

/** What one session tells the other side of its pair, on whatever node that is. */
export type Note =
  /** You have been claimed; all as the receiver sees it. The partner is who sends the note. */
  | ({ readonly type: "matched"; readonly offer?: string } & Omit<Match, "partner">)
  | { readonly type: "confirmed"; readonly pair: string }
  /** This match is not to be: take it back. */
  | { readonly type: "refused"; readonly pair: string }
  | { readonly type: "ended"; readonly pair: string; readonly reason: EndReason }
  /** The sender of this note lives on another node now. */
  | { readonly type: "moved"; readonly pair: string }
  | { readonly type: "signal"; readonly pair: string; readonly raw: Uint8Array };

export type TimerName = "grace" | "confirm" | "retry" | "store";

export type Event =
  /** A parsed message; `raw` is the frame as it came. `wish` is the normalised wish of a `find`. */
  | {
      readonly type: "message";
      readonly message: ClientMessage;
      readonly raw: Uint8Array;
      readonly wish?: Wish;
    }
  | { readonly type: "attached"; readonly resumed: boolean }
  | { readonly type: "detached" }
  | { readonly type: "note"; readonly from: Partner; readonly note: Note }
  | { readonly type: "answer"; readonly answer: Answer }
  /** The store could not be asked; the call is still to be done. */
  | { readonly type: "unanswered" }
  | { readonly type: "due"; readonly timer: TimerName }
  /** The store has been away for so long, or came back so empty, that it may know nothing of this session. */
  | { readonly type: "forgotten" }
  /** Another node holds this session now. */
  | { readonly type: "superseded" };

export type Effect =
  | { readonly do: "welcome"; readonly resumed: boolean }
  | { readonly do: "send"; readonly message: ServerMessage }
  /** A `waiting` message; the node knows the numbers that go with it. */
  | { readonly do: "waiting"; readonly since: number; readonly relaxed: readonly Relaxation[] }
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
  | { readonly do: "count"; readonly what: "undone" | "refused" | "heldDropped" }
  /** The session is over; the node forgets it. */
  | { readonly do: "forget" };

/** Times that are the operator's, in ms. */
export interface SessionRules {
  grace: number;
}

/** How long a call that could not be made waits before it is tried again. */
const STORE_RETRY_MS = 500;
/** Only an outage of the store and a visitor who keeps reporting meanwhile can get there. */
const MAX_QUEUED_CALLS = 16;
const IDLE: Idle = { name: "idle" };
const NOTHING: readonly Effect[] = [];

export function newSession(id: string, device: string): Session {
  return {
    id,
    device,
    epoch: 1,
    connected: false,
    state: IDLE,
    queued: [{ name: "open" }],
    held: [],
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
    return { ...session, state: { name: "paired", match, confirmed: true, wish } };
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
      turn.onAttached(event.resumed);
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
      turn.onSuperseded();
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

  #find(wish: Wish, { offer }: FindMessage): void {
    const { state } = this.session;
    const waiting = {
      name: "waiting",
      wish,
      relaxed: [],
      told: false,
      ...(offer === undefined ? {} : { offer }),
    } as const;
    if (state.name === "waiting") {
      const kept = { ...waiting, since: state.since, claimedIn: state.claimedIn };
      this.#become(kept);
      this.#call({ name: "find", find: { wish, since: state.since } });
    } else if (state.name === "paired") {
      const { pair } = state.match;
      this.#pairIsOver(state.match);
      this.#become(waiting);
      this.#call({ name: "find", find: { wish, leaving: pair } });
    } else {
      this.#become(waiting);
      this.#call({ name: "find", find: { wish } });
    }
  }

  #leave(reason: EndReason): void {
    const { state } = this.session;
    if (state.name === "paired") this.#pairIsOver(state.match);
    this.#cancel("retry");
    this.#become(IDLE);
    this.#call({ name: "leave", reason });
  }

  #block(pair: string, report?: { reason: ReportReason; details?: string }): void {
    const { state, last } = this.session;
    const current = state.name === "paired" && state.match.pair === pair;
    const recent = last?.pair === pair && this.#now - last.endedAt <= REPORT_AFTER_END_MS;
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
    if (current) {
      this.#pairIsOver(state.match);
      this.#become(IDLE);
    }
    this.#call(report ? { name: "block", pair, report } : { name: "block", pair });
  }

  // The connection

  onAttached(resumed: boolean): void {
    const { state, held } = this.session;
    this.session = { ...this.session, connected: true, held: [] };
    this.#cancel("grace");
    this.effects.push({ do: "welcome", resumed });
    for (const raw of held) this.effects.push({ do: "relay", raw });
    if (state.name === "waiting") {
      this.#become({ ...state, told: false });
      this.#askAgain(state);
    }
  }

  onDetached(): void {
    this.session = { ...this.session, connected: false };
    this.#cancel("retry");
    this.effects.push({ do: "timer", timer: "grace", after: this.#rules.grace });
    if (this.session.state.name === "waiting") this.#call({ name: "absent" });
  }

  onForgotten(): void {
    const { state, connected } = this.session;
    if (state.name === "paired") this.#call({ name: "restore", match: state.match });
    else if (state.name === "idle") this.#call({ name: "restore" });
    else if (connected) this.#askAgain(state); // a `find` files what the store has lost
    else this.#call({ name: "restore" });
  }

  #onRestored(call: Call, restored: "held" | "over" | "superseded"): void {
    const { state } = this.session;
    if (restored === "superseded") this.onSuperseded();
    if (restored !== "over" || state.name !== "paired") return;
    if (call.name !== "restore" || call.match?.pair !== state.match.pair) return;
    this.#pairIsOver(state.match);
    this.#become(IDLE);
    this.#send({ type: "ended", pair: state.match.pair, reason: "lost" });
  }

  onSuperseded(): void {
    if (this.session.connected) this.effects.push({ do: "close", code: CloseCode.superseded });
    this.#forget();
  }

  // What the other side says

  onNote(from: Partner, note: Note): void {
    const { state, connected } = this.session;
    if (note.type === "matched") {
      const { type: _type, offer, ...match } = note;
      this.#claimed({ ...match, partner: from }, offer);
      return;
    }
    const inPair = state.name === "paired" && state.match.pair === note.pair;
    switch (note.type) {
      case "confirmed":
        if (inPair) {
          this.#cancel("confirm");
          this.session = { ...this.session, state: { ...state, confirmed: true } };
        }
        break;
      case "refused":
        if (inPair && !state.confirmed) this.#undo(state);
        else if (state.name === "waiting" && connected) {
          this.#call({ name: "undo", pair: note.pair, find: ticket(state) });
        }
        break;
      case "ended":
        if (inPair && !state.confirmed) this.#undo(state);
        else if (inPair) {
          this.#pairIsOver(state.match);
          this.#become(IDLE);
          this.#send({ type: "ended", pair: note.pair, reason: note.reason });
        } else if (state.name === "waiting" && connected) {
          this.#askAgain(state); // a claim that we never heard of has used up our ticket
        }
        break;
      case "moved":
        if (inPair)
          this.session = { ...this.session, state: { ...state, match: { ...state.match, partner: from } } };
        break;
      case "signal":
        break; // answered before, in `receive`
    }
  }

  /** M2: another session has claimed this one. We take it only if our visitor is here and still waiting. */
  #claimed(match: Match, offer: string | undefined): void {
    const { state, connected } = this.session;
    const known = state.name === "paired" && state.match.pair === match.pair;
    if (!known && (state.name !== "waiting" || !connected)) {
      this.#tell(match.partner, { type: "refused", pair: match.pair });
      return;
    }
    this.#tell(match.partner, { type: "confirmed", pair: match.pair });
    if (known || state.name !== "waiting") return;
    this.#cancel("retry");
    this.#dropQueued("find", "undo");
    this.#become({ name: "paired", match, confirmed: true, wish: state.wish, since: state.since });
    this.#sayMatched(match, offer === undefined ? {} : { offer });
  }

  // What the matcher answers

  onAnswer(answer: Answer): void {
    const { calling: call } = this.session;
    if (call?.name !== answer.name) return;
    this.session = { ...this.session, calling: undefined, outage: false };
    switch (answer.name) {
      case "find":
      case "undo":
        this.#onOutcome(answer.outcome);
        if (call.name === "undo" && call.unreached)
          this.#tellEnded({ pair: call.pair, partner: call.unreached }, "lost");
        break;
      case "leave":
        if (answer.left) this.#tellEnded(answer.left, call.name === "leave" ? call.reason : "left");
        break;
      case "block":
        this.#onBlocked(call, answer.blocked);
        break;
      case "end":
        if (answer.left) this.#tellEnded(answer.left, "lost");
        this.#forget();
        break;
      case "restore":
        this.#onRestored(call, answer.restored);
        break;
      case "open":
      case "absent":
        break;
    }
  }

  #onOutcome(outcome: Outcome): void {
    if (outcome.kind === "superseded") {
      this.onSuperseded();
      return;
    }
    if (outcome.kind !== "fenced" && outcome.kind !== "claimed" && outcome.left)
      this.#tellEnded(outcome.left, "next");
    const { state, connected, last } = this.session;
    // The visitor has changed their mind meanwhile; the call that says so to the store is queued behind this one.
    if (state.name !== "waiting") return;
    switch (outcome.kind) {
      case "matched":
        if (connected) this.#matched(state, outcome.match);
        else this.#tell(outcome.match.partner, { type: "refused", pair: outcome.match.pair });
        break;
      case "waiting":
        this.#filed(state, outcome.since, outcome.relaxed, outcome.retryIn);
        break;
      case "claimed": {
        const { pair } = outcome.match;
        if (pair === last?.pair) {
          // Our side has seen this pair end; the call of the other side that ends it in the store comes after ours.
          this.#call({ name: "find", find: { ...ticket(state), leaving: pair } });
        } else if (pair === state.claimedIn) {
          this.#call({ name: "undo", pair, find: ticket(state) });
        } else {
          this.#become({ ...state, claimedIn: pair });
          this.#timer("retry", CONFIRM_TIMEOUT_MS);
        }
        break;
      }
      case "fenced":
        this.#timer("retry", STORE_RETRY_MS);
        break;
    }
  }

  #matched(state: Waiting, match: Match): void {
    const { offer, wish, since } = state;
    this.#cancel("retry");
    this.#dropQueued("find", "undo");
    this.#become({ name: "paired", match, confirmed: false, wish, since });
    this.#sayMatched(match, match.role === "offerer" ? { offerUsed: offer !== undefined } : {});
    const { partner, ...theirs } = {
      ...match,
      role: match.role === "offerer" ? "answerer" : "offerer",
    } as const;
    this.#timer("confirm", CONFIRM_TIMEOUT_MS);
    this.#tell(partner, { type: "matched", ...theirs, ...(offer === undefined ? {} : { offer }) });
  }

  #filed(state: Waiting, since: number, relaxed: Relaxation[], retryIn: number): void {
    const news = !state.told || state.relaxed.join() !== relaxed.join();
    const { offer: _stale, claimedIn: _settled, ...ticketed } = state;
    const { connected } = this.session;
    this.#become({ ...ticketed, since, relaxed, told: connected });
    if (!connected) return;
    this.#timer("retry", retryIn);
    if (news) this.effects.push({ do: "waiting", since, relaxed });
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
      return;
    }
    if (blocked.left) this.#tellEnded(blocked.left, "blocked");
    if (call.report) {
      this.effects.push({
        do: "report",
        pair: call.pair,
        ...call.report,
        partnerDevice: blocked.partnerDevice,
      });
    }
  }

  onUnanswered(): void {
    const { calling, connected, outage, state, last } = this.session;
    this.#timer("store", STORE_RETRY_MS);
    if (outage || !calling) return;
    this.session = { ...this.session, outage: true };
    const reason = endReason(calling);
    if (reason && last) this.#tellEnded(last, reason); // the other side need not wait for the store to come back
    if (connected && state.name === "waiting") {
      this.#send({
        type: "error",
        code: "unavailable",
        message: "the search is kept and goes on by itself as soon as it can",
        retryAfter: 1,
      });
    }
  }

  // Timers

  onDue(timer: TimerName): void {
    const { state, connected, calling } = this.session;
    switch (timer) {
      case "grace":
        if (connected) return;
        if (state.name === "paired") this.#pairIsOver(state.match);
        this.#become(IDLE);
        this.#call({ name: "end" });
        break;
      case "confirm":
        if (state.name === "paired" && !state.confirmed) this.#undo(state, state.match.partner);
        break;
      case "retry":
        if (state.name === "waiting" && connected) this.#askAgain(state);
        break;
      case "store":
        if (calling) this.effects.push({ do: "call", call: calling });
        break;
    }
  }

  // Parts of the above

  /**
   * The other side cannot be reached or did not take the match: back to the old place, without the visitor's doing.
   * `unreached` is told that it is over once it is, should it have heard of the match after all.
   */
  #undo(state: Paired, unreached?: Partner): void {
    const { wish, since, match } = state;
    this.#cancel("confirm");
    this.effects.push({ do: "count", what: "undone" });
    this.#become({ name: "waiting", wish, since, relaxed: [], told: false });
    this.#call({
      name: "undo",
      pair: match.pair,
      find: { wish, since },
      ...(unreached ? { unreached } : {}),
    });
  }

  #askAgain(state: Waiting): void {
    this.#call({ name: "find", find: ticket(state) });
  }

  #pairIsOver({ pair, partner }: Match): void {
    this.#cancel("confirm");
    this.session = { ...this.session, held: [], last: { pair, partner, endedAt: this.#now } };
  }

  #become(state: Idle | Waiting | Paired): void {
    this.session = { ...this.session, state };
  }

  /** Queues a call, in place of those queued ones that it makes pointless. */
  #call(call: Call): void {
    let { queued } = this.session;
    if (call.name === "leave" || call.name === "end") {
      queued = queued.filter(({ name }) => name === "open" || name === "block");
    } else if (call.name === "find" || call.name === "absent") {
      // A find that also ends a pair must not be lost.
      queued = queued.filter(
        (q) => q.name !== "absent" && (q.name !== "find" || q.find.leaving !== undefined),
      );
    }
    this.session = { ...this.session, queued: [...queued, call] };
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

  #tellEnded(left: Left, reason: EndReason): void {
    this.#tell(left.partner, { type: "ended", pair: left.pair, reason });
  }

  #tell(partner: Partner, note: Note): void {
    this.effects.push({ do: "tell", partner, note });
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

/** Why the pair ends that this call ends, if it ends one. */
function endReason(call: Call): EndReason | undefined {
  switch (call.name) {
    case "find":
      return call.find.leaving === undefined ? undefined : "next";
    case "leave":
      return call.reason;
    case "block":
      return "blocked";
    case "end":
      return "lost";
    default:
      return undefined;
  }
}

/** A session on a stage, for tests: says what happened to it in a line, and keeps what it did about it. */
import type { ClientMessage, ServerMessage } from "../protocol/messages.ts";
import type { Answer, Call } from "./call.ts";
import type { Effect, TimerName } from "./effect.ts";
import type { Event } from "./event.ts";
import { asTheySee } from "./match.ts";
import type { Match, Outcome, Partner, Wish } from "./match.ts";
import type { Note } from "./note.ts";
import { newSession } from "./session.ts";
import type { Session, SessionRules } from "./session.ts";
import { step } from "./step.ts";

export const RULES: SessionRules = { grace: 20_000 };
export const STRANGER: Match["partner"] = { session: "stranger", node: "n2", epoch: 1 };
export const TEXT: Wish = { mode: "text", interests: [], languages: [], strict: false };
export const VIDEO: Wish = { ...TEXT, mode: "video" };

const NOBODY_PASSED = { device: 0, blocked: 0, recent: 0, gone: 0, unreachable: 0 };

export const match = (pair: string, more: Partial<Match> = {}): Match => ({
  pair,
  mode: "text",
  role: "offerer",
  partner: STRANGER,
  common: { interests: [] },
  ...more,
});
export const matched = (pair: string, more: Partial<Match> = {}, left?: string): Outcome => ({
  kind: "matched",
  match: match(pair, more),
  waited: 0,
  partnerWaited: 0,
  relaxed: [],
  passed: NOBODY_PASSED,
  ...(left && { left: { pair: left, partner: STRANGER } }),
});
export const filed = (since: number, more: Partial<Extract<Outcome, { kind: "waiting" }>> = {}): Outcome => ({
  kind: "waiting",
  since,
  relaxed: [],
  retryIn: 10_000,
  passed: NOBODY_PASSED,
  ...more,
});
export const claimed = (pair: string): Outcome => ({
  kind: "claimed",
  match: match(pair, { role: "answerer" }),
});
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export class Play {
  session: Session;
  now = 1_000;
  /** What the last event made it do. */
  effects: readonly Effect[] = [];
  /** Running timers, and when they are due. */
  readonly timers = new Map<TimerName, number>();

  constructor(session: Session = newSession("me", "my-device")) {
    this.session = session;
  }

  event(event: Event): this {
    const { session, effects } = step(this.session, event, this.now, RULES);
    this.session = session;
    this.effects = effects;
    for (const effect of effects) {
      if (effect.do === "timer") this.timers.set(effect.timer, this.now + effect.after);
      if (effect.do === "cancel") this.timers.delete(effect.timer);
    }
    return this;
  }

  says(message: ClientMessage, wish?: Wish): this {
    return this.event({ type: "message", message, raw: bytes(JSON.stringify(message)), wish });
  }
  finds(wish: Wish = TEXT, offer?: string): this {
    return this.says({ type: "find", mode: wish.mode, ...(offer && { offer }) }, wish);
  }
  attaches(resumed = true, vouched = true): this {
    return this.event({ type: "attached", resumed, vouched });
  }
  detaches(): this {
    return this.event({ type: "detached" });
  }
  answered(answer: Answer): this {
    return this.event({ type: "answer", answer });
  }
  /** The store answers the `find` or `undo` under way. */
  outcome(outcome: Outcome): this {
    const name = this.session.calling?.name;
    if (name !== "find" && name !== "undo") throw new Error(`no find is under way but ${name}`);
    return this.answered({ name, outcome });
  }
  unanswered(): this {
    return this.event({ type: "unanswered" });
  }
  hears(note: Note, from: Partner = STRANGER): this {
    return this.event({ type: "note", from, note });
  }
  claimed(pair: string, more: Partial<Extract<Note, { type: "matched" }>> = {}, from = STRANGER): this {
    const { epoch } = from;
    return this.hears({ type: "matched", ...asTheySee(match(pair)), epoch, ...more }, from);
  }
  signalled(pair: string, text: string): this {
    return this.hears({ type: "signal", pair, raw: bytes(text) });
  }
  /** Lets time go on until the timer is due, which has to be running. */
  due(timer: TimerName): this {
    const at = this.timers.get(timer);
    if (at === undefined) throw new Error(`no timer ${timer} is running`);
    this.timers.delete(timer);
    this.now = Math.max(this.now, at);
    return this.event({ type: "due", timer });
  }
  passes(ms: number): this {
    this.now += ms;
    return this;
  }

  // What it did

  get state(): Session["state"] {
    return this.session.state;
  }
  get sent(): ServerMessage[] {
    return this.effects.flatMap((effect) => (effect.do === "send" ? [effect.message] : []));
  }
  get told(): { partner: Partner; note: Note }[] {
    return this.effects.flatMap((effect) =>
      effect.do === "tell" ? [{ partner: effect.partner, note: effect.note }] : [],
    );
  }
  get notes(): Note[] {
    return this.told.map(({ note }) => note);
  }
  /** The calls that went out. */
  get calls(): Call[] {
    return this.effects.flatMap((effect) => (effect.do === "call" ? [effect.call] : []));
  }
  /** Signals that went to the visitor, as text. */
  get relayed(): string[] {
    return this.effects.flatMap((effect) =>
      effect.do === "relay" ? [new TextDecoder().decode(effect.raw)] : [],
    );
  }
  did(what: Effect["do"]): boolean {
    return this.effects.some((effect) => effect.do === what);
  }
}

// Scenes to begin with

/** Connected, idle, known to the store. */
export const idle = (): Play => new Play().attaches(false).answered({ name: "open" });
/** Filed in the pool since 500. */
export const waiting = (wish: Wish = TEXT): Play => idle().finds(wish).outcome(filed(500));
/** Has claimed the stranger, who is told but has not confirmed. */
export const claimer = (pair = "p1"): Play => waiting().finds(TEXT).outcome(matched(pair));
/** In a pair that it made itself. */
export const offerer = (pair = "p1"): Play => claimer(pair).hears({ type: "confirmed", pair });
/** In a pair that the stranger made. */
export const answerer = (pair = "p1"): Play => waiting().claimed(pair);

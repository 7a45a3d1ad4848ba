/**
 * Signals for sessions that move from node to node, in order (S2). Each time that a session is on a node is a stay, and a
 * signal is sent to one of them. What comes for a stay that is over goes the way that the session went: to the next stay,
 * which gives first what was held before, then what follows, and what it was sent itself only once the stay before it
 * says that this was all. It says so when its own all has come, and the other side says everything elsewhere.
 */
import type { Clock } from "../clock.ts";
import type { Envelope, Link } from "../links/link.ts";
import { hasRoom } from "../session/held.ts";
import type { Stay } from "../session/match.ts";
import type { Signal } from "../session/note.ts";

/** Longer than it takes to be told all, unless the node that is asked hangs, is dying, or does not know of this. */
const PATIENCE_MS = 500;
/** Longer than a partner takes to hear that a session has moved. */
const FORWARD_MS = 10_000;
/** Who moves more often within that time has what comes too late for the oldest follow a later one. */
const MAX_STAYS = 16;

export interface MovesParts {
  clock: Clock;
  link: Pick<Link, "send">;
  metrics: { heldDropped(): void };
}

/** What a session leaves behind: what was held for it, of which pair, in the stay that ends. */
interface Left {
  readonly epoch: number;
  readonly pair: string;
  readonly held: readonly Uint8Array[];
}

interface StayHere {
  readonly epoch: number;
  /** What was sent to it, while something that is older may still come. */
  early: Signal[] | undefined;
  /** What is to go along, and in which pair, while the session has gone and where is not known yet. */
  left: { readonly pair: string; readonly signals: Signal[] } | undefined;
  /** Where the session went, and in which pair. */
  next: (Stay & { readonly pair: string }) | undefined;
  /** The pair whose other side has sent its last signal to it. */
  heardOut: string | undefined;
  isAllSaid: boolean;
  /** When it is of no use any more. */
  until: number;
}

export interface MovesEvents {
  /** Gives a signal to the session if that is here. */
  give(session: string, signal: Signal): void;
  /** All has come that the session has left elsewhere. */
  onAllHere(session: string): void;
}

export class Moves {
  readonly #parts: MovesParts;
  readonly #events: MovesEvents;
  /** By session, the oldest first. Those of which there is nothing to know are not in it. */
  readonly #stays = new Map<string, StayHere[]>();

  constructor(parts: MovesParts, events: MovesEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  /** Whether something that is older than all that is here may still come from where the session was. */
  isComing(session: string): boolean {
    const newest = this.#stays.get(session)?.at(-1);
    return newest?.early !== undefined && !newest.next;
  }

  /** The session has come here; `asked`: from a node that has been asked for what it holds. */
  came(session: string, epoch: number, asked: boolean): void {
    if (!asked) return;
    const stay = this.#stay(session, epoch);
    stay.early ??= [];
    this.#parts.clock.after(PATIENCE_MS, () => this.#allCame(session, stay));
  }

  /** The session has been taken over; `left`: in the stay that it had here until now. */
  went(session: string, to: Stay, left?: Left): void {
    const over = left ? this.#stay(session, left.epoch) : this.#lostBefore(session, to.epoch);
    // Of a stay that this node knows nothing of, there is nothing here.
    const stay = over ?? this.#stay(session, to.epoch - 1);
    stay.next ??= { ...to, pair: left?.pair ?? stay.left?.pair ?? "" };
    this.#keep(session, stay);
    if (left && left.held.length > 0) this.#send(session, stay.next, left.pair, left.held);
    this.#passLeft(session, stay);
    this.#sayAll(session, stay);
  }

  /** The session has been elsewhere meanwhile: who took it over from here has yet to say so. */
  lost(session: string, { epoch, pair, held }: Left): void {
    const stay = this.#stay(session, epoch);
    stay.left = { pair, signals: held.map((raw) => ({ type: "signal", pair, raw })) };
    this.#parts.clock.after(PATIENCE_MS, () => this.#passLeft(session, stay));
  }

  /** The other side of that pair sends what it has to say elsewhere from now on, which may be known before the move is. */
  heardOut(session: string, epoch: number, pair: string): void {
    const stay = this.#stay(session, epoch);
    stay.heardOut = pair;
    this.#keep(session, stay);
    this.#sayAll(session, stay);
  }

  /** A signal from the other side. */
  arrived(session: string, signal: Signal): void {
    const stay = this.#stayOf(session, signal.epoch ?? 0);
    if (!stay?.early) return this.#pass(session, stay, signal);
    this.#add(stay.early, signal);
  }

  /** What was held or came late where the session was before that stay; nothing: that was all. */
  followed(session: string, epoch: number, pair: string, frames: readonly Uint8Array[]): void {
    const stay = this.#stayOf(session, epoch);
    for (const raw of frames) this.#pass(session, stay, { type: "signal", pair, raw });
    if (frames.length === 0 && stay?.epoch === epoch) this.#allCame(session, stay);
  }

  #pass(session: string, stay: StayHere | undefined, signal: Signal): void {
    if (stay?.next) this.#send(session, stay.next, signal.pair, [signal.raw]);
    else if (stay?.left) this.#add(stay.left.signals, signal);
    else this.#events.give(session, signal);
  }

  #passLeft(session: string, stay: StayHere): void {
    const { left } = stay;
    stay.left = undefined;
    for (const signal of left?.signals ?? []) this.#pass(session, stay, signal);
  }

  #add(signals: Signal[], signal: Signal): void {
    const kept = signals.map(({ raw }) => raw);
    if (hasRoom(kept, signal.raw)) signals.push(signal);
    else this.#parts.metrics.heldDropped();
  }

  #allCame(session: string, stay: StayHere): void {
    const { early } = stay;
    if (!early) return;
    stay.early = undefined;
    for (const signal of early) this.#pass(session, stay, signal);
    if (!stay.next) this.#events.onAllHere(session);
    this.#sayAll(session, stay);
  }

  #sayAll(session: string, stay: StayHere): void {
    const { next, early, heardOut, isAllSaid } = stay;
    if (!next || early || isAllSaid || (next.pair !== "" && heardOut !== next.pair)) return;
    stay.isAllSaid = true;
    this.#send(session, next, next.pair, []);
  }

  #send(session: string, { node, epoch }: Stay, pair: string, frames: readonly Uint8Array[]): void {
    const held: Envelope = { kind: "held", session, epoch, pair, frames };
    this.#parts.link.send(node, held);
  }

  /** The stay that was meant, or the one after it. */
  #stayOf(session: string, epoch: number): StayHere | undefined {
    return this.#stays.get(session)?.find((stay) => stay.epoch >= epoch);
  }

  /** The stay that ended before that epoch, of which nobody has said yet where the session went. */
  #lostBefore(session: string, epoch: number): StayHere | undefined {
    return this.#stays.get(session)?.findLast((stay) => stay.left && stay.epoch < epoch);
  }

  #stay(session: string, epoch: number): StayHere {
    const stays = this.#stays.get(session) ?? [];
    const known = stays.find((stay) => stay.epoch === epoch);
    if (known) return known;
    const stay: StayHere = {
      epoch,
      early: undefined,
      left: undefined,
      next: undefined,
      heardOut: undefined,
      isAllSaid: false,
      until: 0,
    };
    const sorted = [...stays, stay].toSorted((one, other) => one.epoch - other.epoch);
    this.#stays.set(session, sorted.slice(-MAX_STAYS));
    this.#keep(session, stay);
    return stay;
  }

  /** From now on for as long as it may be of use. */
  #keep(session: string, stay: StayHere): void {
    const { clock } = this.#parts;
    stay.until = clock.now() + FORWARD_MS;
    clock.after(FORWARD_MS, () => {
      if (clock.now() < stay.until) return;
      const others = this.#stays.get(session)?.filter((other) => other !== stay) ?? [];
      if (others.length > 0) this.#stays.set(session, others);
      else this.#stays.delete(session);
    });
  }
}

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

/** What a session leaves in a stay that is over: what was held for it, and of which pair; '' when it was in none. */
interface Remains {
  readonly epoch: number;
  readonly pair: string;
  readonly held: readonly Uint8Array[];
}

/** `late`: its visitor may have come back since. */
export interface Gone extends Stay {
  readonly late?: boolean;
}

interface StayHere {
  readonly epoch: number;
  /** False while the store has yet to answer, perhaps, that the session has come here; for so long it is waited for. */
  hasBegun: boolean;
  /** What was sent to it, while something that is older may still come. */
  early: Signal[] | undefined;
  /** In which pair that is; undefined while the store has yet to answer. */
  awaited: string | undefined;
  /** What is to go along while the session has gone and where is not known yet. */
  left: Signal[] | undefined;
  /** In which pair it ended; undefined as long as it has not, as far as this node knows. */
  pair: string | undefined;
  /** Where the session went, which may be heard before the store has answered that it came. */
  next: Gone | undefined;
  /** The pair whose other side has sent its last signal to it. */
  heardOut: string | undefined;
  isAllSaid: boolean;
  /** Stops the timer after which it is forgotten. */
  keep: () => void;
  /** Stops the timer after which no more is waited for what is older. */
  wait: () => void;
}

export interface MovesEvents {
  /** The stay that the session has here, as far as this node knows; 0 when it is not here. */
  epochOf(session: string): number;
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
  isComing(session: string, pair: string): boolean {
    const newest = this.#stays.get(session)?.at(-1);
    return newest?.early !== undefined && !newest.next && (newest.awaited ?? pair) === pair;
  }

  /**
   * The session has come here; `awaited`: in that pair, from a node that has been asked for what it holds. Answers where
   * it has gone on, should that be heard already.
   */
  came(session: string, epoch: number, awaited: string | undefined): Gone | undefined {
    const known = this.#stays.get(session)?.find((stay) => stay.epoch === epoch);
    if (known) {
      known.hasBegun = true;
      this.#keep(session, known);
    }
    if (awaited !== undefined) {
      const stay = known ?? this.#stay(session, epoch);
      stay.awaited = awaited;
      this.#expect(session, stay);
    } else if (known) this.#allCame(session, known);
    return known?.next;
  }

  /** A stay here is over; until it is heard where the session went, or for a while, what it leaves is kept. */
  left(session: string, { epoch, pair, held }: Remains): void {
    const stay = this.#stay(session, epoch);
    stay.pair = pair;
    stay.left = held.map((raw) => ({ type: "signal", pair, raw }));
    if (stay.next) this.#goOn(session, stay);
    else this.#parts.clock.after(PATIENCE_MS, () => this.#passLeft(session, stay));
  }

  /** The session has been taken over, from a stay here or, where every node is told, perhaps from one elsewhere. */
  went(session: string, to: Gone): void {
    const stay = this.#stay(session, to.epoch - 1);
    stay.next ??= to;
    if (!stay.hasBegun) this.#expect(session, stay);
    this.#goOn(session, stay);
  }

  /** The other side of that pair sends what it has to say elsewhere from now on, which may be known before the move is. */
  heardOut(session: string, epoch: number, pair: string): void {
    const stay = this.#stay(session, epoch);
    stay.heardOut = pair;
    this.#sayAll(session, stay);
  }

  /** A signal from the other side, which may know from the store that the session is here before this node does. */
  arrived(session: string, signal: Signal): void {
    const epoch = signal.epoch ?? 0;
    let stay = this.#stayOf(session, epoch);
    if (stay?.epoch !== epoch && epoch > this.#events.epochOf(session)) stay = this.#stay(session, epoch);
    if (stay?.hasBegun === false && !stay.early) this.#expect(session, stay);
    if (!stay?.early || (stay.awaited ?? signal.pair) !== signal.pair)
      return this.#pass(session, stay, signal);
    this.#add(stay.early, signal);
  }

  /** What was held or came late where the session was before that stay; nothing: that was all. */
  followed(session: string, epoch: number, pair: string, frames: readonly Uint8Array[]): void {
    const stay = this.#stayOf(session, epoch);
    for (const raw of frames) this.#pass(session, stay, { type: "signal", pair, raw });
    if (frames.length === 0 && stay?.epoch === epoch) this.#allCame(session, stay);
  }

  /** Where the session went from that stay, or from a later one; undefined when nobody has said so here. */
  next(session: string, epoch: number): Stay | undefined {
    return this.#stays.get(session)?.find((stay) => stay.epoch >= epoch && stay.next)?.next;
  }

  #expect(session: string, stay: StayHere): void {
    stay.early ??= [];
    stay.wait();
    stay.wait = this.#parts.clock.after(PATIENCE_MS, () => {
      // Nobody is here to be given it, but somebody may be as soon as the store answers.
      const isNowhere = !stay.hasBegun && !stay.next && this.#events.epochOf(session) === 0;
      if (isNowhere) this.#expect(session, stay);
      else this.#allCame(session, stay);
    });
  }

  #pass(session: string, stay: StayHere | undefined, signal: Signal): void {
    if (stay?.next && this.#send(session, stay.next, signal.pair, [signal.raw])) return;
    if (stay?.left) return this.#add(stay.left, signal);
    // Where it went from there was never heard; but it may have gone on from a later stay here.
    const later = stay && this.#stayOf(session, stay.epoch + 1);
    if (later) this.#pass(session, later, signal);
    else this.#events.give(session, signal);
  }

  #goOn(session: string, stay: StayHere): void {
    this.#passLeft(session, stay);
    this.#sayAll(session, stay);
  }

  #passLeft(session: string, stay: StayHere): void {
    const { left = [] } = stay;
    stay.left = undefined;
    for (const signal of left) this.#pass(session, stay, signal);
  }

  #add(signals: Signal[], signal: Signal): void {
    const kept = signals.map(({ raw }) => raw);
    if (hasRoom(kept, signal.raw)) signals.push(signal);
    else this.#parts.metrics.heldDropped();
  }

  #allCame(session: string, stay: StayHere): void {
    const { early } = stay;
    if (!early) return;
    stay.wait();
    stay.hasBegun = true;
    stay.early = undefined;
    for (const signal of early) this.#pass(session, stay, signal);
    if (stay.pair === undefined && !stay.next) this.#events.onAllHere(session);
    this.#sayAll(session, stay);
  }

  #sayAll(session: string, stay: StayHere): void {
    const { next, early, pair, heardOut, isAllSaid } = stay;
    if (!next || early || pair === undefined || isAllSaid || (pair !== "" && heardOut !== pair)) return;
    stay.isAllSaid = true;
    this.#send(session, next, pair, []);
  }

  #send(session: string, { node, epoch }: Stay, pair: string, frames: readonly Uint8Array[]): boolean {
    const held: Envelope = { kind: "held", session, epoch, pair, frames };
    return this.#parts.link.send(node, held);
  }

  /** The stay that was meant, or the one after it. */
  #stayOf(session: string, epoch: number): StayHere | undefined {
    return this.#stays.get(session)?.find((stay) => stay.epoch >= epoch);
  }

  #stay(session: string, epoch: number): StayHere {
    const stays = this.#stays.get(session) ?? [];
    const known = stays.find((stay) => stay.epoch === epoch);
    if (known) {
      this.#keep(session, known);
      return known;
    }
    const stay: StayHere = {
      epoch,
      hasBegun: epoch <= this.#events.epochOf(session),
      early: undefined,
      awaited: undefined,
      left: undefined,
      pair: undefined,
      next: undefined,
      heardOut: undefined,
      isAllSaid: false,
      keep() {},
      wait() {},
    };
    const sorted = [...stays, stay].toSorted((one, other) => one.epoch - other.epoch);
    this.#stays.set(session, sorted.slice(-MAX_STAYS));
    this.#keep(session, stay);
    return stay;
  }

  /** From now on for as long as it may be of use. */
  #keep(session: string, stay: StayHere): void {
    stay.keep();
    stay.keep = this.#parts.clock.after(FORWARD_MS, () => {
      stay.wait();
      const others = this.#stays.get(session)?.filter((other) => other !== stay) ?? [];
      if (others.length > 0) this.#stays.set(session, others);
      else this.#stays.delete(session);
    });
  }
}

/**
 * Signals for sessions that move from node to node, in order (S2). Who has a session now is given what was held for it
 * where it was; what comes by another way meanwhile is newer and waits for that. Who had it passes on what still arrives,
 * and says that this was all once the other side of the pair sends nothing there any more.
 */
import type { Clock } from "../clock.ts";
import type { Envelope, Link } from "../links/link.ts";
import { hasRoom } from "../session/held.ts";
import type { Signal } from "../session/note.ts";

/** Longer than it takes to be told all, unless the node that is asked hangs, is dying, or does not know of this. */
const PATIENCE_MS = 500;
/** Longer than a partner takes to hear that a session has moved. */
const FORWARD_MS = 10_000;

export interface MovesParts {
  clock: Clock;
  link: Pick<Link, "send">;
  metrics: { heldDropped(): void };
}

/** What a session leaves behind: what was held for it, and of which pair. */
interface Left {
  readonly pair: string;
  readonly held: readonly Uint8Array[];
  readonly heardOut: boolean;
}
const NOTHING: Left = { pair: "", held: [], heardOut: true };

interface Gone {
  readonly to: string;
  /** In which it was. */
  readonly pair: string;
  /** Whether it has come back since. */
  isBack: boolean;
  /** Whether it was said that this was all: a second time might be taken for an answer to a later question. */
  isSaid: boolean;
}

export interface MovesEvents {
  /** Gives a signal to the session if that is here. */
  give(session: string, signal: Signal): boolean;
  /** All has come that the session has left elsewhere. */
  onAllHere(session: string): void;
}

export class Moves {
  readonly #parts: MovesParts;
  readonly #events: MovesEvents;
  /** Sessions that have come here, and what has overtaken what was held where they were. */
  readonly #early = new Map<string, Signal[]>();
  /** Sessions that have gone. */
  readonly #gone = new Map<string, Gone>();
  /** Sessions whose other side has sent its last signal here, and of which pair. */
  readonly #heardOut = new Map<string, string>();

  constructor(parts: MovesParts, events: MovesEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  /** Whether something that is older than all that is here may still come from where the session was. */
  isComing(session: string): boolean {
    return this.#early.has(session);
  }

  /** The session has come here; `asked`: from a node that has been asked for what it holds. */
  came(session: string, asked: boolean): void {
    this.#allHere(session); // of a move before this one
    // What comes once it has ended here stays here: it would go round in a circle.
    const gone = this.#gone.get(session);
    if (gone) gone.isBack = true;
    if (!asked) return;
    this.#keep(this.#early, session, [], PATIENCE_MS, () => this.#allHere(session));
  }

  /** The session has gone. `heardOut`: nothing is under way to here that `to` does not hear in order. */
  went(session: string, to: string, { pair, held, heardOut }: Left = NOTHING): void {
    if (held.length > 0) this.#send(to, session, pair, held);
    this.#keep(this.#gone, session, { to, pair, isBack: false, isSaid: false }, FORWARD_MS);
    if (heardOut) this.#heardOut.set(session, pair);
    this.#sayAll(session);
  }

  /** The other side of that pair sends what it has to say elsewhere from now on, which may be known before the move is. */
  heardOut(session: string, pair: string): void {
    this.#keep(this.#heardOut, session, pair, FORWARD_MS);
    this.#sayAll(session);
  }

  /** A signal from the other side. */
  arrived(session: string, signal: Signal): void {
    const early = this.#early.get(session);
    if (!early) return this.#pass(session, signal);
    const kept = early.map(({ raw }) => raw);
    if (hasRoom(kept, signal.raw)) early.push(signal);
    else this.#parts.metrics.heldDropped();
  }

  /** What was held or came late where the session was; nothing: that was all. */
  followed(session: string, pair: string, frames: readonly Uint8Array[]): void {
    for (const raw of frames) this.#pass(session, { type: "signal", pair, raw });
    if (frames.length === 0) this.#allHere(session);
  }

  #pass(session: string, signal: Signal): void {
    if (this.#events.give(session, signal)) return;
    const gone = this.#gone.get(session);
    if (gone && !gone.isBack) this.#send(gone.to, session, signal.pair, [signal.raw]);
  }

  #allHere(session: string): void {
    const early = this.#early.get(session);
    if (!early) return;
    this.#early.delete(session);
    for (const signal of early) this.#pass(session, signal);
    this.#events.onAllHere(session);
    this.#sayAll(session);
  }

  #sayAll(session: string): void {
    const gone = this.#gone.get(session);
    if (!gone || this.#early.has(session) || this.#heardOut.get(session) !== gone.pair) return;
    this.#heardOut.delete(session);
    if (!gone.isSaid) this.#send(gone.to, session, gone.pair, []);
    gone.isSaid = true;
  }

  #send(to: string, session: string, pair: string, frames: readonly Uint8Array[]): void {
    const held: Envelope = { kind: "held", session, pair, frames };
    this.#parts.link.send(to, held);
  }

  /** For so long, unless it is replaced or let go of before. */
  #keep<What>(
    where: Map<string, What>,
    session: string,
    what: What,
    ms: number,
    over: () => void = () => where.delete(session),
  ): void {
    where.set(session, what);
    this.#parts.clock.after(ms, () => {
      if (where.get(session) === what) over();
    });
  }
}

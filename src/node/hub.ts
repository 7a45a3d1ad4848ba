/** The sessions of this node: each with its connection, if any, and its timers. */
import type { Clock } from "../clock.ts";
import type { TimerName } from "../session/effect.ts";
import type { Signal } from "../session/note.ts";
import type { Session } from "../session/session.ts";
import type { Connection } from "./connection.ts";

/** `said`: in which stay of the session, by its epoch. */
export interface Stranded {
  readonly said: number;
  readonly signal: Signal;
}

export interface Seat {
  session: Session;
  connection: Connection | undefined;
  /** The visitor's token, to give it back in `welcome`. In memory only. */
  token: string;
  /** What it says to the other side of its pair while that cannot be reached, in order, as much as `held.ts` allows. */
  stranded?: Stranded[] | undefined;
  readonly timers: Partial<Record<TimerName, () => void>>;
}

export class Hub {
  readonly #seats = new Map<string, Seat>();
  readonly #clock: Clock;
  readonly #waiting = new Set<Seat>();
  #paired = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#seats.size;
  }

  /** Who waits, without those who are absent: nobody meets them (S4). */
  get waiting(): ReadonlySet<Seat> {
    return this.#waiting;
  }

  /** How many are in a pair, absent or not: their calls go on. */
  get paired(): number {
    return this.#paired;
  }

  get(id: string): Seat | undefined {
    return this.#seats.get(id);
  }

  seats(): IterableIterator<Seat> {
    return this.#seats.values();
  }

  add(session: Session, token: string): Seat {
    const seat: Seat = { session, connection: undefined, token, timers: {} };
    this.#seats.set(session.id, seat);
    this.#count(seat);
    return seat;
  }

  replace(seat: Seat, session: Session): void {
    this.#discount(seat);
    seat.session = session;
    this.#count(seat);
  }

  remove(seat: Seat): void {
    if (this.#seats.get(seat.session.id) !== seat) return;
    this.#seats.delete(seat.session.id);
    this.#discount(seat);
    for (const timer of Object.keys(seat.timers) as TimerName[]) this.cancel(seat, timer);
  }

  /** Runs `what` after `ms`; a session has one timer of each name. */
  schedule(seat: Seat, timer: TimerName, ms: number, what: () => void): void {
    seat.timers[timer]?.();
    seat.timers[timer] = this.#clock.after(ms, () => {
      delete seat.timers[timer];
      what();
    });
  }

  cancel(seat: Seat, timer: TimerName): void {
    seat.timers[timer]?.();
    delete seat.timers[timer];
  }

  #count(seat: Seat): void {
    const { state, connected } = seat.session;
    if (state.name === "waiting" && connected) this.#waiting.add(seat);
    if (state.name === "paired") this.#paired += 1;
  }

  #discount(seat: Seat): void {
    this.#waiting.delete(seat);
    if (seat.session.state.name === "paired") this.#paired -= 1;
  }
}

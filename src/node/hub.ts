/** The sessions of this node: each with its connection, if any, and its timers. */
import type { Clock } from "../clock.ts";
import type { TimerName } from "../session/effect.ts";
import type { Signal } from "../session/note.ts";
import type { Session } from "../session/session.ts";
import type { Connection } from "./connection.ts";

export interface Seat {
  session: Session;
  connection: Connection | undefined;
  /** The visitor's token, to give it back in `welcome`. In memory only. */
  token: string;
  /** What it says to the other side of its pair while that cannot be reached, in order, as much as `held.ts` allows. */
  stranded?: Signal[] | undefined;
  readonly timers: Partial<Record<TimerName, () => void>>;
}

export class Hub {
  readonly #seats = new Map<string, Seat>();
  readonly #clock: Clock;
  readonly #counts = { idle: 0, waiting: 0, paired: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#seats.size;
  }

  /** How many sessions are in each state. */
  get counts(): Readonly<Record<Session["state"]["name"], number>> {
    return this.#counts;
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
    this.#counts[session.state.name] += 1;
    return seat;
  }

  replace(seat: Seat, session: Session): void {
    this.#counts[seat.session.state.name] -= 1;
    this.#counts[session.state.name] += 1;
    seat.session = session;
  }

  remove(seat: Seat): void {
    if (this.#seats.get(seat.session.id) !== seat) return;
    this.#seats.delete(seat.session.id);
    this.#counts[seat.session.state.name] -= 1;
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
}

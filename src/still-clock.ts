import type { Clock } from "./clock.ts";

interface Timer {
  at: number;
  readonly every: number | undefined;
  readonly what: () => void;
}

/** A clock for tests: time stands still until it is moved, and timers run in the order in which they are due. */
export class StillClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();

  constructor(now = 1_000) {
    this.#now = now;
  }

  now = (): number => this.#now;

  after(ms: number, what: () => void): () => void {
    return this.#add({ at: this.#now + ms, every: undefined, what });
  }

  every(ms: number, what: () => void): () => void {
    return this.#add({ at: this.#now + ms, every: ms, what });
  }

  /** How many timers would still run. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets `ms` pass and runs what is due meanwhile, also what is only scheduled meanwhile. */
  move(ms: number): void {
    const end = this.#now + ms;
    for (let timer = this.#nextBy(end); timer; timer = this.#nextBy(end)) {
      this.#now = timer.at;
      if (timer.every === undefined) this.#timers.delete(timer);
      else timer.at += timer.every;
      timer.what();
    }
    this.#now = end;
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  #nextBy(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= end && (!next || timer.at < next.at)) next = timer;
    }
    return next;
  }
}

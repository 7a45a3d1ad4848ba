/** A token bucket (T7). Pure: the caller brings the time. */
export interface Rate {
  /** How many at once. */
  burst: number;
  /** How many a second after that. */
  perSecond: number;
}

export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #at: number;

  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  /** Takes a token: 0 when there was one, else the seconds until there is. Times are monotonic ms. */
  take(now: number): number {
    this.#refill(now);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return this.#rate.perSecond > 0 ? (1 - this.#tokens) / this.#rate.perSecond : Number.MAX_SAFE_INTEGER;
  }

  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.#rate.burst;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(
      this.#rate.burst,
      this.#tokens + ((now - this.#at) / 1000) * this.#rate.perSecond,
    );
    this.#at = now;
  }
}

/** Says when something has happened more than `most` times within `windowMs`; remembers no more than one window. */
export class Tally {
  readonly #most: number;
  readonly #windowMs: number;
  #times: number[] = [];

  constructor(most: number, windowMs: number) {
    this.#most = most;
    this.#windowMs = windowMs;
  }

  /** Counts one; true when it is the `most`th within the window. */
  add(now: number): boolean {
    const start = now - this.#windowMs;
    if (this.#times.length > 0 && this.#times[0]! <= start)
      this.#times = this.#times.filter((time) => time > start);
    this.#times.push(now);
    return this.#times.length >= this.#most;
  }
}

/** How long after the last trouble what was under way in it may still arrive. */
const AFTERMATH_MS = 3_000;

/** Time as far as nothing is broken, for what nodes have to do within a time. It stands still in trouble and just after. */
export class Calm {
  now = 0;
  #troubledAt = Number.NEGATIVE_INFINITY;

  /** Time has gone on, and nothing is broken. */
  passed(from: number, to: number): void {
    if (this.isCalmSince(to)) this.now += to - from;
  }

  /** Something is broken, or what was under way is lost. */
  disturb(now: number): void {
    this.#troubledAt = now;
  }

  /** Whether everything was well at that time already, and since. */
  isCalmSince(time: number): boolean {
    return time - this.#troubledAt > AFTERMATH_MS;
  }
}

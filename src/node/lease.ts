/**
 * The node's lease in the store: while it is renewed, this node's tickets are handed out; once it runs out, others
 * take over what was here. Each renewal also says how many visitors there are, and which nodes died.
 */
import type { Clock } from "../clock.ts";
import type { Counts, Matcher, Orphan } from "../matching/matcher.ts";

export interface LeaseParts {
  id: string;
  matcher: Matcher;
  clock: Clock;
  rules: { renew: number };
}

export interface LeaseEvents {
  counts(): Counts;
  /** The lease had run out, or the store has lost it: it may have lost or given away every session of this node. */
  onFresh(): void;
  onOrphan(node: string, orphan: Orphan): void;
  onFailed(call: string, error: unknown): void;
}

export class Lease {
  /** The whole cluster's, as of the last renewal. */
  total: Counts = { online: 0, waiting: 0 };
  readonly #parts: LeaseParts;
  readonly #events: LeaseEvents;
  readonly #reaping = new Set<string>();
  #held = false;
  #everHeld = false;
  #renewing = false;
  #stop: (() => void) | undefined;

  constructor(parts: LeaseParts, events: LeaseEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  /** Whether the last renewal succeeded. */
  get isHeld(): boolean {
    return this.#held;
  }

  async start(): Promise<void> {
    this.#stop = this.#parts.clock.every(this.#parts.rules.renew, () => void this.#renew());
    await this.#renew();
  }

  /** For somebody who has just been told that the lease ran out. */
  renewSoon(): void {
    void this.#renew();
  }

  /** Hands the lease back, so that nobody waits for it to run out. */
  async giveUp(): Promise<void> {
    this.#stop?.();
    this.#held = false;
    try {
      await this.#parts.matcher.retire(this.#parts.id);
    } catch (error) {
      this.#events.onFailed("retire", error); // it runs out by itself
    }
  }

  async #renew(): Promise<void> {
    if (this.#renewing) return;
    this.#renewing = true;
    try {
      const { total, dead, fresh } = await this.#parts.matcher.renew(this.#parts.id, this.#events.counts());
      this.total = total;
      this.#held = true;
      if (fresh && this.#everHeld) this.#events.onFresh();
      this.#everHeld = true;
      for (const node of dead) void this.#reap(node);
    } catch (error) {
      this.#held = false;
      this.#events.onFailed("renew", error);
    } finally {
      this.#renewing = false;
    }
  }

  async #reap(node: string): Promise<void> {
    if (this.#reaping.has(node)) return;
    this.#reaping.add(node);
    try {
      for (let more = true; more;) {
        const reaped = await this.#parts.matcher.reap(node);
        more = reaped.more;
        for (const orphan of reaped.orphans) this.#events.onOrphan(node, orphan);
      }
    } catch (error) {
      this.#events.onFailed("reap", error);
    } finally {
      this.#reaping.delete(node);
    }
  }
}

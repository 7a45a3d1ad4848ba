/**
 * The node's lease in the store: while it is renewed, this node's tickets are handed out; once it runs out, others
 * take over what was here. Each renewal also says how many visitors there are, which nodes live, so that the link knows its
 * peers, and which died.
 */
import type { Clock } from "../clock.ts";
import type { Link } from "../links/link.ts";
import type { Registry } from "../links/registry.ts";
import type { Counts, Matcher, Orphan } from "../matching/matcher.ts";

export interface LeaseParts {
  id: string;
  matcher: Matcher;
  registry: Registry;
  link: Pick<Link, "setPeers">;
  clock: Clock;
  rules: { renew: number; lease: number };
}

export interface LeaseEvents {
  counts(): Counts;
  /** The lease had run out, or the store has lost it: it may have lost or given away every session of this node. */
  onFresh(): void;
  onOrphan(node: string, orphan: Orphan): void;
  onRenewed(): void;
  onFailed(call: string, error: unknown): void;
}

export class Lease {
  /** Of all other nodes, as of the last renewal. */
  elsewhere: Counts = { online: 0, waiting: 0 };
  readonly #parts: LeaseParts;
  readonly #events: LeaseEvents;
  readonly #reaping = new Set<string>();
  #met: ReadonlySet<string> = new Set();
  #held = false;
  /** By the store's clock; undefined before the first lease. */
  #heldSince: number | undefined;
  /** When the last renewal that succeeded was asked for, by our own clock. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #renewing: Promise<void> | undefined;
  #givenUp = false;
  #stop: (() => void) | undefined;

  constructor(parts: LeaseParts, events: LeaseEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  /** Whether the last renewal succeeded. */
  get isHeld(): boolean {
    return this.#held;
  }

  /**
   * Whether it may have run out, by our own clock: this process was stopped for a while, or the store is away. What others
   * have said meanwhile may be long over.
   */
  get isStale(): boolean {
    const { clock, rules } = this.#parts;
    return clock.now() - this.#renewedAt >= rules.lease;
  }

  async start(): Promise<void> {
    this.#stop = this.#parts.clock.every(this.#parts.rules.renew, () => void this.#renew());
    await this.#renew();
  }

  /** For somebody who has just been told that the lease ran out. */
  renewSoon(): void {
    void this.#renew();
  }

  /** Hands the lease back for good, so that nobody waits for it to run out. */
  async giveUp(): Promise<void> {
    this.#stop?.();
    this.#givenUp = true;
    // It might announce us once more, behind our back.
    await this.#renewing;
    this.#held = false;
    try {
      await this.#parts.matcher.retire(this.#parts.id);
      await this.#parts.registry.remove([this.#parts.id]);
    } catch (error) {
      this.#events.onFailed("retire", error); // it runs out by itself
    }
  }

  async #renew(): Promise<void> {
    // Whoever takes a lease that was given up makes others wait for a node that is no more.
    if (this.#renewing || this.#givenUp) return;
    this.#renewing = this.#ask();
    await this.#renewing;
    this.#renewing = undefined;
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const { id, matcher, clock } = this.#parts;
    try {
      // Others look for the card as soon as they see the lease, so the card comes first.
      if (!this.#held) await this.#parts.registry.announce();
      const asked = clock.now();
      const here = this.#events.counts();
      const { total, nodes, dead, heldSince } = await matcher.renew(id, here);
      this.#renewedAt = asked;
      this.elsewhere = { online: total.online - here.online, waiting: total.waiting - here.waiting };
      await this.#meet(nodes);
      this.#held = true;
      this.#events.onRenewed();
      if (this.#heldSince !== undefined && heldSince !== this.#heldSince) {
        await this.#parts.registry.announce(); // somebody may have taken our card away, or the store has lost it
        this.#events.onFresh();
      }
      this.#heldSince = heldSince;
      for (const node of dead) void this.#reap(node);
    } catch (error) {
      this.#held = false;
      this.#events.onFailed("renew", error);
    }
  }

  async #meet(nodes: readonly string[]): Promise<void> {
    const { id, registry, link } = this.#parts;
    const others = nodes.filter((node) => node !== id);
    link.setPeers(await registry.look(others));
    const gone = [...this.#met].filter((node) => !others.includes(node));
    this.#met = new Set(others);
    await registry.remove(gone);
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

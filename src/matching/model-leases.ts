import type { Counts, NodeLoad } from "./matcher.ts";

interface Lease {
  since: number;
  until: number;
  counts: Counts;
}

const NOBODY: Counts = { online: 0, waiting: 0 };

/** What the model knows of nodes: who lives, and how many visitors they have. */
export class Leases {
  readonly #now: () => number;
  readonly #leases = new Map<string, Lease>();

  constructor(now: () => number) {
    this.#now = now;
  }

  isAlive(node: string): boolean {
    return (this.#leases.get(node)?.until ?? 0) > this.#now();
  }

  /** Takes or renews a lease. Answers since when the node holds it. */
  renew(node: string, lasts: number, counts: Counts): number {
    const now = this.#now();
    const since = this.isAlive(node) ? this.#leases.get(node)!.since : now;
    this.#leases.set(node, { since, until: now + lasts, counts });
    return since;
  }

  retire(node: string): void {
    const lease = this.#leases.get(node);
    if (lease) Object.assign(lease, { until: this.#now(), counts: NOBODY });
  }

  /** Lists a node that holds a session and may have no lease, as a dead one: else nobody would ever reap it. */
  list(node: string): void {
    const now = this.#now();
    if (!this.#leases.has(node)) this.#leases.set(node, { since: now, until: now, counts: NOBODY });
  }

  forget(node: string): void {
    this.#leases.delete(node);
  }

  /** All that are listed, who dies first before the others. */
  loads(): NodeLoad[] {
    return [...this.#leases]
      .sort(([a, x], [b, y]) => x.until - y.until || (a < b ? -1 : 1))
      .map(([node, { until, counts }]) => ({ node, lease: until - this.#now(), ...counts }));
  }
}

/** Ways to find a partner: ours, and the two that the clones have. */
import type { Matcher } from "../../src/matching/matcher.ts";
import type { Visitor } from "./visitors.ts";

/** `partner` is the name of who waits no more; else the visitor waits, and asks again after `retryIn` ms if given. */
export type Answer = { partner: string; pair: string } | { retryIn?: number };

export interface Policy {
  /** Asks for a partner. `leaving` is the pair that the visitor is in and ends with this. */
  ask(visitor: Visitor, leaving?: string): Promise<Answer>;
  /** The visitor goes, from wherever they are. */
  go(visitor: Visitor): Promise<void>;
}

export function ours(matcher: Matcher): Policy {
  const holder = ({ name }: Visitor) => ({ session: name, node: "sim", epoch: 1, device: name });
  return {
    async ask(visitor, leaving) {
      const outcome = await matcher.find(holder(visitor), { wish: visitor.wish, leaving });
      if (outcome.kind === "matched") {
        return { partner: outcome.match.partner.session, pair: outcome.match.pair };
      }
      if (outcome.kind === "waiting") return { retryIn: outcome.retryIn };
      throw new Error(`one node holds everybody here, but the matcher answered ${outcome.kind}`);
    },
    async go(visitor) {
      await matcher.end(holder(visitor));
    },
  };
}

/** One queue a key: whoever has waited longest under the same key is the partner. */
function queues(keyOf: (visitor: Visitor) => string): Policy {
  const waiting = new Map<string, Set<string>>();
  let pairs = 0;
  return {
    async ask(visitor): Promise<Answer> {
      const queue = waiting.get(keyOf(visitor)) ?? new Set();
      waiting.set(keyOf(visitor), queue);
      for (const other of queue) {
        if (other === visitor.name) continue;
        queue.delete(other);
        return { partner: other, pair: `pair ${pairs++}` };
      }
      queue.add(visitor.name);
      return {};
    },
    async go(visitor) {
      waiting.get(keyOf(visitor))?.delete(visitor.name);
    },
  };
}

/** The two who have waited longest, whoever they are. */
export const fifo = (): Policy => queues(({ wish }) => wish.mode);

/** Only those who wish exactly the same. */
export const exactBuckets = (): Policy =>
  queues(({ wish }) => JSON.stringify([wish.mode, wish.interests.toSorted(), wish.languages.toSorted()]));

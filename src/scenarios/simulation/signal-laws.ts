import type { Signal } from "../../protocol/messages.ts";
import type { Told } from "./told.ts";
import type { Visitor } from "./visitor.ts";
import type { World } from "./world.ts";

/** How long a signal may take to a page that is there. */
const DELIVERED_MS = 1_000;
/** In what time whoever has missed something learns how it stands: a minute, and calls and notes under way. */
export const FOUND_OUT_MS = 62_500;

interface Said {
  pair: string;
  to: string;
  n: number;
  /** Since when, by the calm clock, the page that it is for is there. */
  since: number;
}

/** S1, S2: signals come from the other side only, in order, and they come. */
export class SignalLaws {
  readonly #world: World;
  readonly #told: Told;
  /** Pair, sender and the way the signal took → the last one that arrived. */
  readonly #last = new Map<string, number>();
  /** Pair, sender and number → a signal that has not arrived. */
  readonly #underWay = new Map<string, Said>();

  constructor(world: World, told: Told) {
    this.#world = world;
    this.#told = told;
  }

  onWiped(): void {
    this.#underWay.clear();
  }

  onSaid(by: string, pair: string, n: number): void {
    const to = this.#told.other(by, pair);
    if (to !== undefined)
      this.#underWay.set(`${pair} ${by} ${n}`, { pair, to, n, since: this.#world.calm.now });
  }

  /** It has come to where it was to go, whether or not somebody is there. */
  onArrived({ pair, data }: Signal): void {
    this.#underWay.delete(`${pair} ${String(data.by)} ${String(data.n)}`);
  }

  onHeard(visitor: Visitor, signal: Signal): void {
    const { pair, data } = signal;
    const { belief, name, session, socket } = visitor;
    const { journal, calm } = this.#world;
    this.onArrived(signal);
    const ours = belief.state === "paired" && belief.pair === pair;
    journal.require(ours, "S1", () => `${name} gets a signal of ${pair}`);
    const by = String(data.by);
    const theirs = by !== session && this.#told.has(by, pair);
    journal.require(theirs, "S1", () => `${name} gets a signal of a stranger to ${pair}`);
    journal.count("signals heard");
    const isCalm = calm.isCalmSince(this.#told.since(pair));
    // What was sent to where the page was before follows it. In trouble it comes when it comes.
    if (!isCalm && Number(data.at) < visitor.welcomedAt + FOUND_OUT_MS) return;
    const stream = `${pair} ${by} from ${String(data.via)}${isCalm ? "" : ` to ${socket?.member.id}`}`;
    const last = this.#last.get(stream) ?? -1;
    journal.require(Number(data.n) > last, "S2", () => `${name} gets signal ${data.n} after ${last}`);
    this.#last.set(stream, Number(data.n));
  }

  /** At every moment: where nothing has been broken since the pair was made, what is said in it arrives. */
  check(): void {
    const { calm, store, visitors, journal } = this.#world;
    for (const [key, said] of this.#underWay) {
      const { pair, to, n } = said;
      const inPair = store.model.sessions.get(to)?.pair?.id === pair;
      if (!inPair || !calm.isCalmSince(this.#told.since(pair))) {
        this.#underWay.delete(key);
        continue;
      }
      const visitor = visitors.find(({ session }) => session === to);
      const isThere = visitor?.isReady && visitor.belief.state === "paired" && visitor.belief.pair === pair;
      if (!isThere) said.since = calm.now;
      const inTime = calm.now - said.since <= DELIVERED_MS;
      journal.require(inTime, "S2", () => `${visitor?.name} never gets signal ${n} of ${pair}`);
    }
  }
}

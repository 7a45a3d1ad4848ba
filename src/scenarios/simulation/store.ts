/** The shared store of the simulation: the model of the matcher behind a connection that is slow, breaks and hangs. */
import type { Matcher, Rules } from "../../matching/matcher.ts";
import { ModelMatcher } from "../../matching/model.ts";
import type { Chance } from "./chance.ts";
import type { Process } from "./process.ts";
import type { Timeline } from "./timeline.ts";

/** As in the Redis client: a call without an answer is given up after this, whether or not it will be done. */
const TIMEOUT_MS = 1_000;

export interface StoreEvents {
  /** The store has just done a call. The answer may never arrive. */
  onDone(name: keyof Matcher, args: unknown[], result: unknown): void;
}

export class Store {
  /** What it knows. */
  model: ModelMatcher;
  /** `away` refuses connections; `hanging` takes calls and does them once it goes on. */
  state: "up" | "away" | "hanging" = "up";
  /** One way to it, in ms, and how likely a connection breaks with a call on it. */
  weather = { least: 0.05, most: 2, breaks: 0 };
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #rules: Rules;
  readonly #arbiter: (model: ModelMatcher) => Matcher;
  readonly #events: StoreEvents;
  #decides: Matcher;
  #waiting: (() => void)[] = [];
  #pairs = 0;

  constructor(
    timeline: Timeline,
    chance: Chance,
    rules: Rules,
    arbiter: (model: ModelMatcher) => Matcher,
    events: StoreEvents,
  ) {
    this.#timeline = timeline;
    this.#chance = chance;
    this.#rules = rules;
    this.#arbiter = arbiter;
    this.#events = events;
    this.model = this.#empty();
    this.#decides = arbiter(this.model);
  }

  /** Restarted without its data. */
  wipe(): void {
    this.model = this.#empty();
    this.#decides = this.#arbiter(this.model);
  }

  #empty(): ModelMatcher {
    return new ModelMatcher({
      rules: this.#rules,
      now: () => Math.floor(this.#timeline.now),
      newPair: () => `p${this.#pairs++}`,
    });
  }

  goOn(): void {
    this.state = "up";
    for (const call of this.#waiting.splice(0)) this.#timeline.after(0, call);
  }

  /** A node's connection: what goes in comes out in the same order. */
  connect(process: Process): Matcher {
    let [lastDone, lastAnswered] = [0, 0];
    const ask = (name: keyof Matcher, args: unknown[]): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const [timeline, chance, { least, most, breaks }] = [this.#timeline, this.#chance, this.weather];
        const refuse = (): void => process.input(() => reject(new Error("the store is away")));
        if (this.state === "away") {
          timeline.after(chance.between(0, 1), refuse);
          return;
        }
        timeline.after(TIMEOUT_MS, refuse);
        const broken = chance.happens(breaks) ? chance.oneOf(["before", "after"]) : undefined;
        if (broken) timeline.after(chance.between(least, 2 * most), refuse);
        if (broken === "before") return;
        const run = (): void => {
          if (this.state === "hanging") {
            this.#waiting.push(run);
            return;
          }
          if (this.state === "away") return;
          const method = this.#decides[name] as (...all: unknown[]) => Promise<unknown>;
          const result = method.apply(this.#decides, args);
          void result.then((value) => this.#events.onDone(name, args, value));
          lastAnswered = Math.max(lastAnswered, timeline.now + chance.between(least, most));
          if (!broken) timeline.at(lastAnswered, () => process.input(() => resolve(result)));
        };
        lastDone = Math.max(lastDone, timeline.now + chance.between(least, most));
        timeline.at(lastDone, run);
      });
    return new Proxy({} as Matcher, {
      get:
        (_, name) =>
        (...args: unknown[]) =>
          ask(name as keyof Matcher, args),
    });
  }
}

import type { Matched, ServerMessage, Waiting, Welcome } from "../../protocol/messages.ts";
import { CloseCode } from "../../protocol/close-codes.ts";
import type { SignalLaws } from "./signal-laws.ts";
import type { Told } from "./told.ts";
import type { Visitor } from "./visitor.ts";
import type { World } from "./world.ts";

/** How long before its end the grace is not counted on any more: a call to the store and its retries. */
const NEARLY_OVER_MS = 2_000;

/** What a page may hear, by what it said before. Says what it believes from then on. */
export class PageLaws {
  readonly #world: World;
  readonly #told: Told;
  readonly #signals: SignalLaws;

  constructor(world: World, told: Told, signals: SignalLaws) {
    this.#world = world;
    this.#told = told;
    this.#signals = signals;
  }

  onMessage(visitor: Visitor, message: ServerMessage): void {
    const { belief, name } = visitor;
    const { journal, calm } = this.#world;
    switch (message.type) {
      case "welcome":
        this.#welcomed(visitor, message);
        break;
      case "waiting":
        this.#waits(visitor, message);
        break;
      case "matched":
        this.#matched(visitor, message);
        break;
      case "ended": {
        const known = belief.state === "paired" && belief.pair === message.pair;
        const says = () =>
          `${name} is told the end of ${message.pair}, but believes ${JSON.stringify(belief)}`;
        journal.require(known, "M2", says);
        visitor.belief = { state: "idle" };
        visitor.away = calm.now;
        visitor.place = undefined;
        break;
      }
      case "signal":
        this.#signals.onHeard(visitor, message);
        break;
      case "error": {
        const { code } = message;
        const wellSaid = code !== "invalid_message" && code !== "rate_limited";
        journal.require(wellSaid, "T5", () => `${name}: ${message.message}`);
        break;
      }
    }
  }

  onLost({ name }: Visitor, code: number): void {
    const older = code === CloseCode.superseded;
    this.#world.journal.require(!older, "S3", () => `${name} is thrown out and has no newer connection`);
  }

  #waits(visitor: Visitor, { since }: Waiting): void {
    const { belief, name, place } = visitor;
    const { journal } = this.#world;
    const looks = belief.state === "waiting" || belief.state === "paired";
    journal.require(looks, "M8", () => `${name} looks for nobody and is told waiting`);
    const kept = place === undefined || since <= place;
    journal.require(kept, "M2", () => `${name} waits since ${place} and is told since ${since}`);
    visitor.place = since;
    visitor.belief = { state: "waiting" };
  }

  #matched(visitor: Visitor, { pair, mode, role }: Matched): void {
    const { belief, name, wish } = visitor;
    const { journal } = this.#world;
    const looks = belief.state === "waiting" || belief.state === "paired";
    journal.require(looks, "M8", () => `${name} looks for nobody and is told of ${pair}`);
    const twice = belief.state === "paired" && belief.pair === pair;
    journal.require(!twice, "M2", () => `${name} is told of ${pair} twice`);
    const asked = wish === undefined || mode === wish.mode;
    journal.require(asked, "M5", () => `${name} wants ${wish?.mode} and gets ${mode}`);
    this.#isPaired(visitor, pair, role);
    if (role === "offerer") visitor.claiming = this.#world.storeCalm.now;
  }

  #isPaired(visitor: Visitor, pair: string, role: Matched["role"]): void {
    this.#told.add(visitor.session!, pair, role, this.#world.now);
    visitor.belief = { state: "paired", pair, since: this.#world.calm.now };
    visitor.claiming = undefined;
    visitor.lastPair = pair;
    visitor.away = undefined;
  }

  /** S3, S5 */
  #welcomed(visitor: Visitor, { resume, resumed, state, pair, role }: Welcome): void {
    const { rules, now, journal, calm } = this.#world;
    const { name, session, known, lostAt, heldAt } = visitor;
    const inTime = now - Math.min(lostAt, heldAt) < rules.grace - NEARLY_OVER_MS;
    const mustResume = session !== undefined && known && inTime;
    journal.require(resumed || !mustResume, "S3", () => `${name} came back in time and got a fresh session`);
    const same = visitor.token === resume;
    journal.require(same || !resumed, "S5", () => `${name} resumed as somebody else`);
    const lasting = resumed && !visitor.leaving ? this.#lastingPair(session!) : undefined;
    journal.require(
      lasting === undefined || pair === lasting,
      "S3",
      () => `${name} is in ${lasting} and resumed ${state} ${pair ?? ""}`,
    );
    if (resumed) journal.count(`resumed ${state}`);
    else {
      visitor.recorded = false;
      visitor.place = undefined;
    }
    visitor.token = resume;
    visitor.welcomedAt = now;
    visitor.wish = undefined; // what was said on the connection before may be lost
    visitor.leaving = false;
    if (state === "paired") {
      this.#isPaired(visitor, pair!, role!);
      return;
    }
    if (state === "idle") visitor.place = undefined;
    visitor.belief = { state };
    visitor.away = state === "waiting" ? undefined : calm.now;
  }

  /** The pair that a session is in for certain: the store says so of both sides, and both were told, and all is calm. */
  #lastingPair(session: string): string | undefined {
    const { store, isCalm } = this.#world;
    const { sessions } = store.model;
    const pair = sessions.get(session)?.pair;
    const whole = pair !== undefined && sessions.get(pair.partner)?.pair?.id === pair.id;
    return whole && isCalm && this.#told.both(pair.id) ? pair.id : undefined;
  }
}

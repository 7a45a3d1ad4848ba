import type { Matcher } from "../../matching/matcher.ts";
import type { ClientMessage, ServerMessage } from "../../protocol/messages.ts";
import { CONFIRM_TIMEOUT_MS } from "../../protocol/limits.ts";
import { PageLaws } from "./page-laws.ts";
import { RestLaws } from "./rest-laws.ts";
import { FOUND_OUT_MS, SignalLaws } from "./signal-laws.ts";
import { StoreLaws } from "./store-laws.ts";
import { Told } from "./told.ts";
import type { Visitor } from "./visitor.ts";
import type { World } from "./world.ts";

/** Beyond the two seconds of M2: calls and notes under way. */
const SLACK_MS = 2_500;
/** What a call to the store takes that is slow, and waits for another one. */
const CALLS_MS = 500;

/** What must hold: in what pages hear, in what the store does, at every moment, and at rest. */
export class Laws {
  readonly #world: World;
  readonly #told: Told;
  readonly #signals: SignalLaws;
  readonly #page: PageLaws;
  readonly #store: StoreLaws;
  readonly #rest: RestLaws;

  constructor(world: World) {
    this.#world = world;
    this.#told = new Told(world.journal);
    this.#signals = new SignalLaws(world, this.#told);
    this.#page = new PageLaws(world, this.#told, this.#signals);
    this.#store = new StoreLaws(world);
    this.#rest = new RestLaws(world, this.#store);
  }

  onMessage(visitor: Visitor, message: ServerMessage): void {
    this.#page.onMessage(visitor, message);
  }

  onLost(visitor: Visitor, code: number): void {
    this.#page.onLost(visitor, code);
  }

  onSaid({ session }: Visitor, message: ClientMessage): void {
    if (message.type === "signal") this.#signals.onSaid(session!, message.pair, Number(message.data.n));
  }

  /** A node has said it to a session on a connection that its page has no more. */
  onMissed(session: string, message: ServerMessage): void {
    if (message.type === "matched") this.#told.add(session, message.pair, message.role, this.#world.now);
    if (message.type === "signal") this.#signals.onArrived(message);
  }

  onDone(name: keyof Matcher, args: unknown[], result: unknown): void {
    this.#store.onDone(name, args, result);
  }

  onWiped(): void {
    this.#store.onWiped();
    this.#signals.onWiped();
  }

  /** At every moment. */
  check(): void {
    const { store, visitors, now } = this.#world;
    this.#store.check();
    this.#signals.check();
    for (const visitor of visitors) {
      const { session } = visitor;
      const known = session === undefined ? undefined : store.model.sessions.get(session);
      if (known) visitor.recorded = true;
      if (known && known.doomed === undefined) visitor.heldAt = now;
      this.#claimIsHeard(visitor);
      this.#isNotAlone(visitor);
      this.#isNotDeceived(visitor);
    }
  }

  /** M2: a match of which the other side is not told is undone, whatever has become of that side or of the way there. */
  #claimIsHeard(visitor: Visitor): void {
    const { storeCalm, journal } = this.#world;
    const { belief, name, socket, claiming } = visitor;
    if (belief.state !== "paired" || !socket || claiming === undefined) return;
    if (this.#told.both(belief.pair)) visitor.claiming = undefined;
    else if (socket.member.isPaused) visitor.claiming = storeCalm.now;
    else {
      const inTime = storeCalm.now - claiming <= CONFIRM_TIMEOUT_MS + CALLS_MS;
      const says = () =>
        `${name} has claimed somebody for ${belief.pair} who is not told, and it is not undone`;
      journal.require(inTime, "M2", says);
    }
  }

  /** M2: nobody believes for long in a pair of which nobody else was told. */
  #isNotAlone(visitor: Visitor): void {
    const { store, visitors, calm, journal } = this.#world;
    const { belief, name, session, isConnected } = visitor;
    if (belief.state !== "paired" || !isConnected) return;
    // Somebody who is away has a grace to come back in; the store ends the pair then, or sooner.
    const pair = store.model.sessions.get(session!)?.pair;
    const other = pair && visitors.find((one) => one.session === pair.partner);
    const alone = !this.#told.both(belief.pair) && (!pair || other?.isReady);
    visitor.alone = alone ? (visitor.alone ?? calm.now) : undefined;
    const since = Math.max(belief.since, visitor.alone ?? calm.now);
    const inTime = calm.now - since <= CONFIRM_TIMEOUT_MS + SLACK_MS;
    journal.require(inTime, "M2", () => `${name} believes in ${belief.pair}, of which nobody else was told`);
  }

  /** Nobody believes for long in a pair that is over: hears of it at once, or finds it out where word of it was lost. */
  #isNotDeceived(visitor: Visitor): void {
    const { store, calm, journal } = this.#world;
    const { belief, name, session, isConnected } = visitor;
    const pair = isConnected && belief.state === "paired" ? belief.pair : undefined;
    const deceived = pair !== undefined && store.model.sessions.get(session!)?.pair?.id !== pair;
    visitor.deceived = deceived ? (visitor.deceived ?? calm.now) : undefined;
    if (!deceived) return;
    const most = calm.isCalmSince(this.#told.since(pair)) ? SLACK_MS : FOUND_OUT_MS;
    const inTime = calm.now - visitor.deceived! <= most;
    journal.require(inTime, "S4", () => `${name} believes in ${pair}, which has been over for ${most} ms`);
  }

  checkRest(): void {
    this.#rest.check();
  }
}

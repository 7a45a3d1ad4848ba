import type { Holder, Matcher } from "../../matching/matcher.ts";
import type { Match, Outcome } from "../../session/match.ts";
import type { Journal } from "./journal.ts";
import { UNNOTICED_MS } from "./visitor.ts";
import type { World } from "./world.ts";

/** How long after somebody has gone a match may still be made: calls and notes under way. */
const SLACK_MS = 2_500;

type Restored = Awaited<ReturnType<Matcher["restore"]>>;
type Blocked = Awaited<ReturnType<Matcher["block"]>>;

/** What the store may do (M1, M3, M8), and what may stand in it at any moment. */
export class StoreLaws {
  readonly #world: World;
  readonly #journal: Journal;
  /** Devices that a block keeps apart. */
  readonly #apart = new Set<string>();
  /** Pairs that an emptied store has heard of again from one side before the other, if ever from that one. */
  readonly #halves = new Set<string>();

  /** By the calm clock. */
  #wipedAt = Number.NEGATIVE_INFINITY;

  constructor(world: World) {
    this.#world = world;
    this.#journal = world.journal;
  }

  /** It has lost its data: it cannot know what it did. */
  onWiped(): void {
    this.#apart.clear();
    this.#wipedAt = this.#world.calm.now;
  }

  areKeptApart(device: string, other: string): boolean {
    return this.#apart.has(`${device} ${other}`);
  }

  onDone(name: keyof Matcher, args: unknown[], result: unknown): void {
    if (name === "find" || name === "undo") {
      const outcome = result as Outcome;
      if (outcome.kind === "matched") this.#paired((args[0] as Holder).session, outcome.match);
    } else if (name === "restore") {
      if ((result as Restored).restored === "alone") this.#halves.add((args[1] as Match).pair);
    } else if (name === "block") {
      const blocked = result as Blocked;
      if (blocked && blocked !== "superseded")
        this.#blocked((args[0] as Holder).device, blocked.partnerDevice);
    }
  }

  #blocked(device: string, other: string): void {
    this.#apart.add(`${device} ${other}`);
    this.#apart.add(`${other} ${device}`);
  }

  #paired(claimer: string, { pair, partner }: Match): void {
    const { sessions } = this.#world.store.model;
    const [mine, theirs] = [sessions.get(claimer)!, sessions.get(partner.session)!];
    const whole = mine.pair?.id === pair && theirs.pair?.id === pair;
    this.#journal.require(whole, "M1", () => `${pair} is one-sided from the start`);
    this.#journal.require(mine.device !== theirs.device, "M3", () => `${pair} joins one device`);
    const apart = this.areKeptApart(mine.device, theirs.device);
    this.#journal.require(!apart, "M3", () => `${pair} joins two who are kept apart`);
    for (const { session, node } of [mine, theirs]) this.#isThere(session, node, pair);
  }

  /** M8 */
  #isThere(session: string, node: string, pair: string): void {
    const { calm, now, rules, visitors, members } = this.#world;
    // A page that has gone on as somebody else leaves a session that its node does not know to be nobody's.
    const visitor = visitors.find((one) => one.session === session);
    const since = visitor?.away === undefined ? 0 : calm.now - visitor.away;
    const says = () => `${visitor?.name} is away for ${Math.round(since)} ms and put into ${pair}`;
    // A node that still believes in a connection that is gone may be the first to tell an emptied store of a session.
    const told = calm.now - this.#wipedAt < UNNOTICED_MS;
    // Or asks for it again, for that connection.
    const ghost = told || calm.now < (visitor?.ghostUntil ?? 0);
    this.#journal.require(since < SLACK_MS || ghost, "M8", says);
    // Nothing has delayed its last renewal.
    const leaseIsOver = calm.isCalmSince(now - rules.lease);
    const lives = members.some(({ id }) => id === node);
    this.#journal.require(
      lives || !leaseIsOver,
      "M8",
      () => `${pair} joins somebody on the dead node ${node}`,
    );
  }

  check(): void {
    const { sessions } = this.#world.store.model;
    const members = new Map<string, number>();
    for (const [session, { pair }] of sessions) {
      if (!pair) continue;
      const count = (members.get(pair.id) ?? 0) + 1;
      members.set(pair.id, count);
      this.#journal.require(count <= 2, "M1", () => `${pair.id} has more than two members`);
      const partner = sessions.get(pair.partner)?.pair;
      const whole = partner?.id === pair.id && partner.partner === session;
      this.#journal.require(whole || this.#halves.has(pair.id), "M1", () => `${pair.id} is one-sided`);
    }
  }
}

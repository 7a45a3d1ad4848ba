import { deviceOf } from "../../session/resume-token.ts";
import type { StoreLaws } from "./store-laws.ts";
import type { Visitor } from "./visitor.ts";
import type { World } from "./world.ts";

/** What must hold once everything is mended and has had its time: everybody is right about how things stand. */
export class RestLaws {
  readonly #world: World;
  readonly #storeLaws: StoreLaws;

  /**
   * Sessions that an emptied store has learnt of from a call that was under way when the node let go of them: that node
   * does not know, and they stay until it dies.
   */
  readonly #ghosts = new Set<string>();

  constructor(world: World, storeLaws: StoreLaws) {
    this.#world = world;
    this.#storeLaws = storeLaws;
  }

  check(): void {
    const { visitors, journal } = this.#world;
    for (const visitor of visitors) {
      if (visitor.isConnected) this.#isRight(visitor);
      else journal.require(!visitor.coming, "S3", () => `${visitor.name} finds no node`);
    }
    this.#nobodyStarves();
    this.#nothingIsLeft();
  }

  /** The page, the store and the other side agree. */
  #isRight({ belief, name, session }: Visitor): void {
    const { store, visitors, journal } = this.#world;
    const { sessions } = store.model;
    const known = session === undefined ? undefined : sessions.get(session);
    const says = () => `${name} believes ${JSON.stringify(belief)}, the store ${JSON.stringify(known)}`;
    journal.require(known !== undefined && belief.state !== "unknown", "lost", says);
    if (!known) return;
    const partner = known.pair && sessions.get(known.pair.partner);
    const pair = partner?.pair?.id === known.pair?.id ? known.pair : undefined;
    const filed = pair === undefined && known.ticket?.insists !== undefined;
    if (belief.state === "idle") journal.require(!filed && pair === undefined, "M8", says);
    if (belief.state === "waiting") journal.require(filed, "lost", says);
    if (belief.state !== "paired") return;
    journal.require(pair?.id === belief.pair, "lost", says);
    const other = visitors.find((one) => one.session === known.pair?.partner);
    const agrees = other?.belief.state === "paired" && other.belief.pair === belief.pair;
    const theySay = () => `${says()}, and the other side ${other?.name} ${JSON.stringify(other?.belief)}`;
    journal.require(agrees, "lost", theySay);
  }

  /** M7: of those who wait at rest, no two may meet. */
  #nobodyStarves(): void {
    const { store, visitors, journal } = this.#world;
    const ticketOf = ({ session }: Visitor) => store.model.sessions.get(session!)?.ticket;
    const waiting = visitors.filter(({ belief, isConnected }) => isConnected && belief.state === "waiting");
    for (const one of waiting) {
      for (const other of waiting) {
        const [mine, theirs] = [ticketOf(one)?.wish, ticketOf(other)?.wish];
        const apart =
          mine?.mode !== theirs?.mode ||
          mine?.strict ||
          theirs?.strict ||
          one.device === other.device ||
          this.#storeLaws.areKeptApart(deviceOf(one.device), deviceOf(other.device));
        journal.require(apart, "M7", () => `${one.name} and ${other.name} wait for nothing`);
      }
    }
  }

  /** S4: neither the store nor a node keeps anybody who is gone. */
  #nothingIsLeft(): void {
    const { store, visitors, members, journal, wasWiped } = this.#world;
    for (const session of store.model.sessions.keys()) {
      const here = visitors.some((one) => one.session === session && one.isConnected);
      if (!here && wasWiped) this.#ghosts.add(session);
      journal.require(
        here || this.#ghosts.has(session),
        "S4",
        () => `the store keeps ${session}, whom nobody knows`,
      );
    }
    for (const { id, node } of members) {
      const here = visitors.filter(({ socket }) => socket?.member.id === id).length;
      const { connections, sessions } = node.numbers();
      const says = () =>
        `${id} holds ${connections} connections and ${sessions} sessions for ${here} visitors`;
      journal.require(connections === here && sessions === here, "S4", says);
    }
  }
}

/**
 * Where the relay is: at addresses of this machine and of a NAT that leads to it. Both change while it runs; new addresses
 * are listened on, and old ones let go, and coturn has to begin anew for that.
 */
import { isIPv4 } from "node:net";
import type { Clock } from "../clock.ts";
import {
  isLost,
  type Machine,
  type Nat,
  relayAddresses,
  type RelayAddresses,
  signatureOf,
  type Wanted,
} from "./addresses.ts";
import type { Sought } from "./public-address.ts";
import { isPublic } from "../address-ranges.ts";

export interface WhereaboutsParts {
  readonly wanted: Wanted;
  /** The addresses that `listenHost` stands for. */
  readonly hosts: readonly string[];
  /** What there is of this machine now. */
  readonly machine: () => Promise<Machine>;
  readonly clock: Pick<Clock, "now">;
  readonly log: { info(what: object, message: string): void };
}

/**
 * A new public address, and what is forbidden with it, is not put off for longer. Calls that go by the relay then move to
 * it anew, within seconds, as the pages see to it.
 */
const PUT_OFF_MS = 60_000;

export class Whereabouts {
  readonly #parts: WhereaboutsParts;
  #machine: Machine;
  #addresses: RelayAddresses;
  #found: Nat | undefined;
  /** The addresses that the log spoke of last. */
  #told: string;
  /** Since when there have been others, not taken yet, that are not to be put off for long. */
  #pressesSince: number | undefined;

  /** @throws Failure when the relay would not be at the address that was chosen for it. */
  static async look(parts: WhereaboutsParts): Promise<Whereabouts> {
    const machine = await parts.machine();
    return new Whereabouts(parts, machine, relayAddresses(parts.wanted, parts.hosts, machine));
  }

  private constructor(parts: WhereaboutsParts, machine: Machine, addresses: RelayAddresses) {
    this.#parts = parts;
    this.#machine = machine;
    this.#addresses = addresses;
    this.#told = stateOf(machine, addresses);
  }

  get addresses(): RelayAddresses {
    return this.#addresses;
  }

  /** What a NAT may be in front of; undefined where nobody comes from elsewhere, or by a public address. */
  get sought(): Omit<Sought, "port" | "secret"> | undefined {
    const { reach, nat, relay, own } = this.#addresses;
    const inside = relay.find((address) => isIPv4(address) && !isPublic(address));
    if (reach === "this machine" || inside === undefined) return undefined;
    const relayed = relay.map((address) => (address === nat?.inside ? nat.outside : address));
    return { inside, ...(nat && { outside: nat.outside }), relayed, own };
  }

  /** A NAT leads here: that counts from the next look on. */
  found(nat: Nat): void {
    this.#found = nat;
  }

  /**
   * Looks again, and says whether it is elsewhere now, and whether that is because the machine is. Calls end by that, and
   * networks of containers come and go: so with a call it stays where it was, unless the calls have lost their address;
   * and not for ever where it cannot be reached from elsewhere meanwhile or relays to too much, for one visitor alone could
   * see to that.
   */
  async lookAgain(hasCalls: () => Promise<boolean>): Promise<{ withMachine: boolean } | undefined> {
    const { wanted, hosts, machine, clock, log } = this.#parts;
    const now = await machine();
    let next: RelayAddresses;
    try {
      next = relayAddresses(wanted, hosts, now, this.#found);
    } catch (error) {
      const reason = (error as Error).message;
      this.#say(signatureOf(now), { reason }, "the relay stays at its addresses");
      return undefined;
    }
    // It was that of another network.
    if (next.nat?.outside !== this.#found?.outside) this.#found = undefined;
    const state = stateOf(now, next);
    if (!isLost(this.#addresses, next)) {
      const { nat, allowPrivate } = this.#addresses;
      const presses = next.nat?.outside !== nat?.outside || next.allowPrivate !== allowPrivate;
      this.#pressesSince = presses ? (this.#pressesSince ?? clock.now()) : undefined;
      if (state === stateOf(this.#machine, this.#addresses)) return undefined;
      const isLate = presses && clock.now() - this.#pressesSince! >= PUT_OFF_MS;
      if (!isLate && (await hasCalls())) {
        const atMost = presses ? ", or in a minute" : "";
        const text = `the relay has other addresses now; it takes them when no call goes by it${atMost}`;
        this.#say(state, {}, text);
        return undefined;
      }
    }
    this.#pressesSince = undefined;
    const withMachine = signatureOf(now) !== signatureOf(this.#machine);
    [this.#machine, this.#addresses, this.#told] = [now, next, state];
    log.info({ at: next.offered }, "the relay has other addresses now; it starts again");
    return { withMachine };
  }

  /** Only news: it is looked often. */
  #say(state: string, what: object, message: string): void {
    if (state !== this.#told) this.#parts.log.info(what, message);
    this.#told = state;
  }
}

const stateOf = (machine: Machine, { nat }: RelayAddresses): string =>
  `${signatureOf(machine)} ${nat?.outside}`;

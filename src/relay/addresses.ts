/** On which addresses of this machine the relay listens, where it relays, and at which others find it. */
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { isIP, isIPv4 } from "node:net";
import { networkInterfaces, type NetworkInterfaceInfo } from "node:os";
import { Failure } from "../failure.ts";
import { isLoopbackHost } from "../loopback.ts";
import { isLoopbackAddress, isOutward, isPublic } from "../address-ranges.ts";

export interface Wanted {
  /** Where the page is listened for. */
  readonly host: string;
  readonly domain: string;
  readonly turn: {
    readonly host: string;
    readonly public_address: string;
    readonly allow_private: boolean | "auto";
  };
}

export interface Machine {
  readonly interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>;
  /** The addresses by which this machine leads to the rest of the world, where it does. */
  readonly outward: readonly string[];
}

/** A NAT that leads to us. */
export interface Nat {
  readonly outside: string;
  /** The address of ours that it stands for. */
  readonly inside: string;
}

export interface RelayAddresses {
  /** At least one. */
  readonly listen: readonly string[];
  /** Where allocations are made: one address for each family at most. */
  readonly relay: readonly string[];
  /** In front of us; it stands for one of `relay`. */
  readonly nat?: Nat;
  /** Every address of this machine. */
  readonly own: readonly string[];
  /** Where others find the relay, the best first. */
  readonly offered: readonly string[];
  /** From where it can be reached. */
  readonly reach: "this machine" | "private" | "public";
  /** Whether peers of private networks are relayed to. */
  readonly allowPrivate: boolean;
}

/** A machine with hundreds of containers does not need a listener for each of their networks. */
const MAX_LISTENERS = 32;

/**
 * Who listens for the page on loopback only, and has said under which name it is opened, has a proxy in front: visitors
 * come from elsewhere, and no proxy forwards calls.
 */
export function listenHost({ host, domain, turn }: Wanted): string {
  if (turn.host !== "") return turn.host;
  return isLoopbackHost(host) && domain !== "" ? "::" : host;
}

/**
 * `hosts` are the addresses that `listenHost` stands for. `found` counts like an address that is given, beside a
 * public one of the other family.
 */
export function relayAddresses(
  wanted: Wanted,
  hosts: readonly string[],
  machine: Machine,
  found?: Nat,
): RelayAddresses {
  const without = addressesWith(wanted, hosts, machine);
  if (!found || wanted.turn.public_address !== "" || !without.relay.includes(found.inside)) return without;
  const turn = { ...wanted.turn, public_address: found.outside };
  const offered = [found.outside, ...without.relay.filter(isPublic)];
  return { ...addressesWith({ ...wanted, turn }, hosts, machine), offered };
}

function addressesWith({ domain, turn }: Wanted, hosts: readonly string[], machine: Machine): RelayAddresses {
  const own = ownAddresses(machine);
  const found = hosts.flatMap((host) => {
    if (host === "::") return own;
    return host === "0.0.0.0" ? own.filter((address) => isIPv4(address)) : [host];
  });
  const listen = found.length > 0 ? found : ["127.0.0.1"];
  const outside = turn.public_address;
  const rank = (address: string): number =>
    (address === outside ? 4 : 0) + (isPublic(address) ? 2 : 0) + (machine.outward.includes(address) ? 1 : 0);
  const usable = listen.filter((address) => isOutward(address)).sort((a, b) => rank(b) - rank(a));
  const best = (family: number): string[] =>
    (usable.length > 0 ? usable : listen).filter((address) => isIP(address) === family).slice(0, 1);
  const relay = [...best(4), ...best(6)];
  const onlyHere = usable.length === 0;
  const nat = outside === "" || own.includes(outside) ? undefined : natOf(outside, relay, onlyHere);
  const isKnown = domain !== "" || outside !== "" || relay.some((address) => isPublic(address));
  const visible = relay.filter((address) => isPublic(address));
  return {
    listen: [...new Set([...relay, ...listen])].slice(0, MAX_LISTENERS),
    relay,
    ...(nat && { nat }),
    own,
    offered: outside !== "" ? [outside] : visible.length > 0 ? visible : relay,
    reach: onlyHere
      ? "this machine"
      : outside !== "" || relay.some((address) => isPublic(address))
        ? "public"
        : "private",
    allowPrivate: turn.allow_private === "auto" ? !isKnown : turn.allow_private,
  };
}

function natOf(outside: string, relay: readonly string[], onlyHere: boolean): Nat {
  const inside = relay.find((address) => isIP(address) === isIP(outside));
  if (onlyHere || inside === undefined) {
    throw new Failure(
      `turn.public_address is ${outside}, but the relay listens on ${relay.join(" and ")} only: change turn.host`,
      2,
    );
  }
  return { outside, inside };
}

/** Loopback first, as interfaces are listed. A link-local address needs the name of an interface behind it. */
const ownAddresses = ({ interfaces }: Machine): string[] =>
  Object.values(interfaces)
    .flatMap((all) => all ?? [])
    .map(({ address }) => address)
    .filter((address) => isIP(address) !== 0 && (isOutward(address) || isLoopbackAddress(address)));

/** Whether an address that was relayed at is this machine's no more: the calls that went by it have ended already. */
export const isLost = ({ relay }: RelayAddresses, now: RelayAddresses): boolean =>
  relay.some((address) => !now.relay.includes(address) && !now.own.includes(address));

export const thisMachine = async (): Promise<Machine> => ({
  interfaces: await bindable(networkInterfaces()),
  outward: await outwardAddresses(),
});

/**
 * The interfaces with those of their addresses that can be listened on. One of IPv6 cannot in its first second or two, as
 * at the start of a machine, while the system asks whether somebody has it already; and never if so.
 */
export async function bindable(interfaces: Machine["interfaces"]): Promise<Machine["interfaces"]> {
  const found: Machine["interfaces"] = {};
  for (const [name, all = []] of Object.entries(interfaces)) {
    const can = await Promise.all(all.map(({ address }) => canBind(address)));
    found[name] = all.filter((_, at) => can[at]);
  }
  return found;
}

function canBind(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv4(address) ? "udp4" : "udp6");
    const done = (can: boolean): void => {
      socket.close();
      resolve(can);
    };
    socket.once("error", () => done(false));
    socket.bind(0, address, () => done(true));
  });
}

/** Stands for the addresses, so that a change of them is noticed: of IPv6 the networks, for temporary ones change daily. */
export const signatureOf = (machine: Machine): string =>
  ownAddresses(machine)
    .map((address) => (isIPv4(address) ? address : networkOf(address)))
    .sort()
    .join(" ");

function networkOf(address: string): string {
  const [head = "", tail] = address.split("::");
  const groups = head.split(":");
  const rest = tail === undefined ? [] : tail.split(":");
  while (tail !== undefined && groups.length + rest.length < 8) groups.push("0");
  return [...groups, ...rest].slice(0, 4).join(":");
}

/** Rejects when it is the name of no address. */
export async function addressesOf(host: string): Promise<string[]> {
  return isIP(host) ? [host] : (await lookup(host, { all: true })).map(({ address }) => address);
}

/** By which addresses this machine leads elsewhere. Nothing is sent: a connected UDP socket only has its route chosen. */
async function outwardAddresses(): Promise<string[]> {
  const found = await Promise.all([
    sourceTowards("udp4", "198.51.100.1"),
    sourceTowards("udp6", "2001:db8::1"),
  ]);
  return found.filter((address) => address !== undefined);
}

function sourceTowards(type: "udp4" | "udp6", target: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(type);
    const done = (address?: string): void => {
      socket.close();
      resolve(address);
    };
    socket.once("error", () => done());
    // Not by a callback, which would be called where there is no way, too.
    socket.once("connect", () => done(socket.address().address));
    socket.connect(9, target);
  });
}

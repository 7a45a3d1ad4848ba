/** Addresses that are not of the public internet (IANA's special-purpose registries, RFC 6890), as ranges. */
import { BlockList, isIPv4 } from "node:net";

export type Range = readonly [from: string, to: string];

/** Networks that people run themselves. */
export const PRIVATE: readonly Range[] = [
  ["10.0.0.0", "10.255.255.255"],
  ["172.16.0.0", "172.31.255.255"],
  ["192.168.0.0", "192.168.255.255"],
  // Carriers and private overlays.
  ["100.64.0.0", "100.127.255.255"],
  ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
];

/** Set apart for tests and for texts. Some laboratories do use them. */
export const TEST: readonly Range[] = [
  ["192.0.2.0", "192.0.2.255"],
  ["198.18.0.0", "198.19.255.255"],
  ["198.51.100.0", "198.51.100.255"],
  ["203.0.113.0", "203.0.113.255"],
  ["2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"],
  ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"],
];

export const LOOPBACK: readonly Range[] = [
  ["127.0.0.0", "127.255.255.255"],
  ["::1", "::1"],
];

/** Where no visitor is, and what leads to where one might not go: IPv4 inside IPv6 can hold any address. */
export const NOBODY: readonly Range[] = [
  // This network, link-local with the clouds' metadata, protocol assignments, the former 6to4 relays, AS112.
  ["0.0.0.0", "0.255.255.255"],
  ["169.254.0.0", "169.254.255.255"],
  ["192.0.0.0", "192.0.0.255"],
  ["192.31.196.0", "192.31.196.255"],
  ["192.52.193.0", "192.52.193.255"],
  ["192.88.99.0", "192.88.99.255"],
  ["192.175.48.0", "192.175.48.255"],
  // Multicast, reserved, broadcast.
  ["224.0.0.0", "255.255.255.255"],
  // IPv4-compatible but for ::1, IPv4-mapped, IPv4-translated.
  ["::", "::"],
  ["::2", "::ffff:ffff"],
  ["::ffff:0:0", "::ffff:ffff:ffff"],
  ["::ffff:0:0:0", "::ffff:0:ffff:ffff"],
  // NAT64, also of private prefixes; discard only; ORCHID; Teredo; 6to4; SRv6.
  ["64:ff9b::", "64:ff9b::ffff:ffff"],
  ["64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"],
  ["100::", "100::1:ffff:ffff:ffff:ffff"],
  ["2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2001:10::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  // Link-local, the former site-local, multicast.
  ["fe80::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
];

const familyOf = (address: string): "ipv4" | "ipv6" => (isIPv4(address) ? "ipv4" : "ipv6");

/** Hazard: in one list IPv4 would also be looked up as what is IPv4 inside IPv6. */
function listOf(ranges: readonly Range[]): (address: string) => boolean {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const [from, to] of ranges) lists[familyOf(from)].addRange(from, to, familyOf(from));
  return (address) => lists[familyOf(address)].check(address, familyOf(address));
}

const isSpecial = listOf([...PRIVATE, ...TEST, ...LOOPBACK, ...NOBODY]);
const isNobody = listOf(NOBODY);
export const isLoopbackAddress = listOf(LOOPBACK);
export const isPrivate = listOf(PRIVATE);

/** Whether an address can be reached from everywhere, as far as the address itself tells. */
export const isPublic = (address: string): boolean => !isSpecial(address);

/** Whether a machine can be reached at it by others at all: not loopback, link-local and the like. */
export const isOutward = (address: string): boolean => !isNobody(address) && !isLoopbackAddress(address);

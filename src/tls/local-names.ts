import { isIP } from "node:net";
import type { NetworkInterfaceInfo } from "node:os";

/** By what visitors on this machine and around it may call it: names first, then addresses. */
export function localNames(
  hostname: string,
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>,
  others: readonly string[] = [],
): string[] {
  const name = hostname.toLowerCase();
  // Many networks know it by its bare name, and with multicast DNS as .local.
  const names = [
    "localhost",
    ...(isDnsName(name) ? [name, ...(name.includes(".") ? [] : [`${name}.local`])] : []),
  ];
  const addresses = Object.values(interfaces)
    .flatMap((all) => all ?? [])
    // A link-local address needs the name of an interface behind it, which no certificate can hold.
    .map(({ address }) => address)
    .filter((address) => isIP(address) && !/^fe80:/i.test(address));
  const every = [...others, ...names, "127.0.0.1", "::1", ...addresses];
  return [...new Set(every)].filter((each) => isIP(each) || isDnsName(each)).slice(0, MAX_NAMES);
}

/** A machine with hundreds of containers must not make a certificate that no TLS record holds. */
const MAX_NAMES = 64;

const isDnsName = (text: string): boolean =>
  text.length <= 253 &&
  /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*$/.test(text);

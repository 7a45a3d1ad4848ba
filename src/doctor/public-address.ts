/** Whether the addresses that others are told lead here, as far as can be seen. */
import { isIP } from "node:net";
import { isLoopback } from "../loopback.ts";
import { isPublic } from "../address-ranges.ts";
import type { Tried } from "../relay/self-test.ts";
import { type Finding, fine, skipped, spelled, warning, wrong } from "./finding.ts";

const CHECK = "public address";

export interface Addresses {
  /** What the name of the place leads to; none without a name. */
  readonly named: readonly string[];
  /** Those of this machine's interfaces. */
  readonly own: readonly string[];
  /** Whether the place is this machine, as far as we know. */
  readonly here: boolean;
  /** The public address that the embedded relay here is told; "" for none, undefined where there is no such relay. */
  readonly configured?: string;
  /** Those that visitors are given. */
  readonly tried: readonly Tried[];
  /** Those elsewhere that only say from where this machine is seen. */
  readonly asked?: readonly Tried[];
}

export function judgePublicAddress({ named, own, here, configured, tried, asked = [] }: Addresses): Finding {
  for (const { url, remote, relayed } of tried) {
    if (!remote || !relayed || isIP(remote) !== isIP(relayed.address)) continue;
    if (isPublic(remote) && !isPublic(relayed.address))
      return wrong(
        CHECK,
        `the relay ${url} is reached at ${remote}, but tells visitors to come to ${relayed.address}, which is private`,
        `give the public one with ${spelled("turn.public_address")} (another coturn: external-ip), and forward its ports`,
      );
  }
  const seen = seenBy([...tried, ...asked]);
  const outside = seen.filter(isPublic);
  // A relay of our own sees us come from inside, which is no news where somebody elsewhere has been asked too.
  const from = `we are seen from ${(outside.length > 0 ? outside : seen).join(" and ")}`;
  const elsewhere = seenBy(tried.filter(({ remote = "" }) => !own.includes(remote) && !isLoopback(remote)));
  // Nobody is asked where an interface has a public address. Where somebody is, our own relay is not to answer for them.
  const isSeen =
    asked.length > 0
      ? elsewhere.some(isPublic) || seenBy(asked).length > 0
      : elsewhere.length > 0 || outside.length > 0;
  const fineIfSeen = (text: string): Finding =>
    isSeen ? fine(CHECK, text) : skipped(CHECK, nobodySaid(asked));
  if (!here || seen.length === 0) return fineIfSeen(from);
  const wrongName = named.length > 0 && outside.length > 0 && outside.every(isUnnamed);
  if (wrongName)
    return warning(
      CHECK,
      `the name leads to ${named.join(" and ")}, but ${from}`,
      "let the name lead to this machine, unless a proxy elsewhere is in front of it",
    );
  const router = outside.find((address) => !own.includes(address));
  const isKnown = tried.some(({ relayed }) => relayed?.address === router);
  if (configured !== undefined && router !== undefined && !isKnown) {
    const change = `set ${spelled("turn.public_address")} to ${router}, and let the router forward the ports of the relay`;
    if (configured === "")
      return warning(
        CHECK,
        `${from}, a router in front of this machine, of which the relay does not know`,
        change,
      );
    if (isIP(configured) === isIP(router) && configured !== router)
      return warning(CHECK, `${from}, but turn.public_address is ${configured}`, change);
  }
  const behind = outside.some((address) => !own.includes(address));
  return fineIfSeen(behind ? `${from}, which is a NAT in front of this machine` : from);

  function isUnnamed(address: string): boolean {
    // A name may lack an address of one kind.
    return named.some((each) => isIP(each) === isIP(address)) && !named.includes(address);
  }
}

const seenBy = (tried: readonly Tried[]): string[] => [
  ...new Set(tried.flatMap(({ mapped }) => (mapped ? [mapped.address] : []))),
];

const nobodySaid = (asked: readonly Tried[]): string =>
  `nobody elsewhere said from where we come: ${
    asked.length > 0
      ? `no answer from ${asked.map(({ url }) => url).join(" and ")}`
      : "no STUN server of another machine answered"
  }`;

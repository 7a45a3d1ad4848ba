/**
 * What is left of what a visitor says whose address is hidden (S6): of ICE candidates only relayed ones, whose address is
 * the relay's. A page that hides its visitor's address gathers no others; this holds also for one that does not keep to
 * it, by a fault or because the operator's rule is news to it.
 */
import { isIP } from "node:net";
import { candidateLine, NO_ADDRESS, withoutAddresses } from "./hide-addresses.ts";

export function relayedOnly(line: string): string | undefined {
  if (/candidate:/i.test(line)) return relayedCandidate(line);
  const port = /^(m=\S+ )(\d+)(.*)$/.exec(line);
  if (port) return withoutAny(`${port[1]}${port[2] === "0" ? "0" : "9"}${port[3]}`);
  if (line.startsWith("a=rtcp:")) return `a=rtcp:9 IN IP4 ${NO_ADDRESS}`;
  if (line.startsWith("c=")) return `c=IN IP4 ${NO_ADDRESS}`;
  return withoutAny(line);
}

function relayedCandidate(line: string): string | undefined {
  const candidate = candidateLine(line);
  if (candidate?.type !== "relay" || isIP(candidate.address) === 0) return undefined;
  const { before, address, between, rest } = candidate;
  const hidden = rest.replace(/ raddr \S+/g, ` raddr ${NO_ADDRESS}`).replace(/ rport \S+/g, " rport 9");
  return withoutAny(before) + address + between + withoutAny(hidden);
}

/** Without the names either that browsers give to local addresses. */
const withoutAny = (text: string): string =>
  withoutAddresses(text, () => true).replace(/[0-9a-z.-]+/gi, (run) =>
    /\.local\b/i.test(run) ? NO_ADDRESS : run,
  );

/**
 * Which of this browser's network addresses a stranger is told: the last gate before a candidate or a description goes
 * out. Browsers keep most of this by themselves; what they do not, or get wrong, stops here.
 */
import { isPrivate } from "../../src/protocol/private-address.ts";

export interface Discretion {
  /** The visitor, or the place, wants no address told at all: only a relay's own candidates go out. */
  relayOnly: boolean;
  /**
   * Whether the node sees this visitor at a private address, as at a LAN party: then a private one is of use to a
   * partner. To anybody else it tells what the network at home looks like, and leads nowhere. Names that a browser
   * makes up for an address (`….local`) tell nothing and always go out.
   */
  lan: boolean;
}

/** A candidate's line as it may go out, or null when it may not. Where it was found (`raddr`) is nobody's business. */
export function discreetCandidate(line: string, { relayOnly, lan }: Discretion): string | null {
  const fields = line.trim().split(/ +/);
  const [, , , , address = "", , typ, type] = fields;
  if (!line.startsWith("candidate:") || typ !== "typ") return null;
  // A relay's address is not the visitor's.
  if (type !== "relay" && (relayOnly || (!lan && isPrivate(address)))) return null;
  const related = fields.indexOf("raddr", 8);
  if (related > 0) {
    fields[related + 1] = nowhere(fields[related + 1]);
    if (fields[related + 2] === "rport") fields[related + 3] = "0";
  }
  return fields.join(" ");
}

/** A session description as it may go out. Candidates that may not are left out, and so is the address of a section. */
export function discreetSdp(sdp: string, discretion: Discretion): string {
  const lines = sdp.split("\r\n").flatMap((line) => {
    if (line.startsWith("a=candidate:")) {
      const candidate = discreetCandidate(line.slice(2), discretion);
      return candidate === null ? [] : [`a=${candidate}`];
    }
    // Of no use to browsers, which connect by candidates alone.
    return [line.replace(/^((?:c=|o=.* |a=rtcp:\d+ )IN IP[46] )(\S+)/, (_, head, at) => head + nowhere(at))];
  });
  return lines.join("\r\n");
}

const nowhere = (address = ""): string => (address.includes(":") ? "::" : "0.0.0.0");

/** Where the address of a STUN or TURN server leads (RFC 7064, RFC 7065). */

export interface IcePlace {
  readonly kind: "stun" | "turn";
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly transport: "udp" | "tcp" | "tls" | "dtls";
}

const SHAPE = /^(stun|turn)(s?):([^?]+?)(?:\?transport=(udp|tcp))?$/;

/** Undefined when it is none. */
export function parseIceUrl(url: string): IcePlace | undefined {
  const [, kind, secure, authority, transport] = SHAPE.exec(url) ?? [];
  if (kind === undefined || authority === undefined) return undefined;
  const parsed = URL.parse(`http://${authority}`);
  if (!parsed || parsed.hostname === "") return undefined;
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  // URL leaves out the port that it takes for the default one.
  const given = parsed.port || (authority.endsWith(":80") ? "80" : "");
  const port = given === "" ? (secure ? 5349 : 3478) : Number(given);
  const plain = transport ?? (secure ? "tcp" : "udp");
  return {
    kind: kind as IcePlace["kind"],
    host,
    port,
    transport: secure ? (plain === "tcp" ? "tls" : "dtls") : (plain as "udp" | "tcp"),
  };
}

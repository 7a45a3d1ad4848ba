/** Who a request comes from: its address, seen through the proxies that the operator trusts and no others. */
import type { IncomingMessage } from "node:http";
import proxyAddr from "proxy-addr";
import { isLoopback } from "../loopback.ts";

export interface ClientOf {
  address(request: IncomingMessage): string;
  /** Whether the other end of the connection is this very machine. */
  isHere(request: IncomingMessage): boolean;
  /** T3: whether a page of this origin may connect. No `Origin` header means that no browser asks. */
  originAllowed(request: IncomingMessage): boolean;
  /** For Express's `trust proxy`. */
  readonly trust: (address: string, hop: number) => boolean;
}

/** `trustedProxies` are addresses, networks in CIDR notation or the names that proxy-addr knows. */
export function clientOf(trustedProxies: readonly string[], allowedOrigins: readonly string[]): ClientOf {
  const trust = proxyAddr.compile([...trustedProxies]);
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()));

  const ownHost = (request: IncomingMessage): string | undefined => {
    const forwarded = request.headers["x-forwarded-host"];
    const peer = request.socket.remoteAddress;
    if (typeof forwarded === "string" && peer !== undefined && trust(peer, 0))
      return forwarded.split(",")[0]!.trim();
    return request.headers.host;
  };

  return {
    trust,
    // A socket that is gone already has no address; its request goes nowhere either.
    address: (request) => (request.socket.remoteAddress === undefined ? "" : proxyAddr(request, trust)),
    isHere: ({ socket: { remoteAddress } }) => remoteAddress !== undefined && isLoopback(remoteAddress),
    originAllowed(request) {
      const { origin } = request.headers;
      if (origin === undefined) return true;
      if (origins.has(origin.toLowerCase())) return true;
      const own = ownHost(request)?.toLowerCase();
      return own !== undefined && own !== "" && URL.parse(origin)?.host === own;
    },
  };
}

/** Who a request comes from: its address, seen through the proxies that the operator trusts and no others. */
import type { IncomingMessage } from "node:http";
import proxyAddr from "proxy-addr";
import { isLoopback } from "../loopback.ts";

export interface ClientOf {
  address(request: IncomingMessage): string;
  /**
   * Whether it comes from this machine or a private network. Not when somebody forwards it who is not believed, nor when
   * a trusted proxy tells no address, as a balancer of TCP: the address is that one's, and says nothing of the visitor's.
   */
  isLan(request: IncomingMessage): boolean;
  /** Whether the other end of the connection is this very machine. */
  isHere(request: IncomingMessage): boolean;
  /** T3: whether a page of this origin may connect. No `Origin` header means that no browser asks. */
  originAllowed(request: IncomingMessage): boolean;
  /** For Express's `trust proxy`. */
  readonly trust: (address: string, hop: number) => boolean;
}

/** What routers hand out at home, in companies, and carriers and private overlays to their own. */
const isLanAddress = proxyAddr.compile(["loopback", "linklocal", "uniquelocal", "100.64.0.0/10"]);
const FORWARDING = ["x-forwarded-for", "forwarded", "x-real-ip"];

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

  // A socket that is gone already has no address; its request goes nowhere either.
  const address = (request: IncomingMessage): string =>
    request.socket.remoteAddress === undefined ? "" : proxyAddr(request, trust);

  return {
    trust,
    address,
    isLan(request) {
      const { remoteAddress } = request.socket;
      const forwarded = FORWARDING.some((name) => request.headers[name] !== undefined);
      if (forwarded && !(remoteAddress !== undefined && trust(remoteAddress, 0))) return false;
      const seen = address(request).replace(/%.*$/, "");
      return isLanAddress(seen, 0) && !trust(seen, 0);
    },
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

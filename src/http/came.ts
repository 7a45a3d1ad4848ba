/** By which way a visitor came, from what their browser calls this place: relays are offered under that name. */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { isLoopbackHost } from "../loopback.ts";
import type { Came } from "../node/came.ts";
import type { ClientOf } from "./client.ts";
import { first, HOST, isTrusted } from "./plain.ts";

/** Whoever lies in the header lies to themself only. */
export function cameBy(request: IncomingMessage, client: ClientOf): Came {
  const { headers, socket } = request;
  const trusted = isTrusted(request, client);
  const said = (trusted ? first(headers["x-forwarded-host"]) : undefined) ?? headers.host ?? "";
  const [, name, port = "443"] = HOST.exec(said) ?? [];
  const lan = client.isLan(request);
  if (name === undefined || name.length > 255) return shared({ host: "", proxied: false, lan });
  const host = name.replace(/^\[|\]$/g, "").toLowerCase();
  const forwarded = trusted && headers["x-forwarded-for"] !== undefined;
  // This machine calls itself by a name of loopback when it comes over loopback; a proxy on it passes a name on, and one
  // that forwards no address, as a tunnel, leaves it open where the visitor is.
  const passedOn = client.isHere(request) && !isLoopbackHost(host);
  const proxied = forwarded || passedOn;
  const secure = (socket as TLSSocket).encrypted && !proxied;
  return shared({
    host,
    proxied,
    lan: lan && (forwarded || !passedOn),
    ...(secure && { tlsPort: Number(port) }),
  });
}

/** Most visitors come by the same few ways: their connections share what says so. */
const MAX_SHARED = 64;
const known = new Map<string, Came>();

function shared(came: Came): Came {
  const key = `${came.host} ${came.tlsPort} ${came.proxied} ${came.lan}`;
  const found = known.get(key);
  if (found) return found;
  if (known.size >= MAX_SHARED) known.clear();
  known.set(key, came);
  return came;
}

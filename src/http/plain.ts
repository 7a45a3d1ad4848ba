/**
 * What becomes of requests that come without HTTPS to a port that has it. Those of this machine stay: a browser takes
 * loopback for secure, and a proxy on the same machine ends HTTPS itself. Pages are sent to HTTPS, because a browser
 * gives the camera to no other; a WebSocket cannot be sent anywhere, so it is refused.
 */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { RequestHandler } from "express";
import type { CertificateSource } from "../tls/certificate.ts";
import type { ClientOf } from "./client.ts";
import { escaped } from "./html.ts";
import { refuseUpgrade, type UpgradeListener } from "./upgrade.ts";

export type Way =
  /** Over our own TLS. */
  | "secure"
  /** Plain, from this machine or through a proxy that is trusted and has HTTPS itself. */
  | "near"
  /** Plain all the way from elsewhere. */
  | "plain"
  /** Plain from elsewhere, and it says that a proxy had HTTPS. Sending it to HTTPS would go round in circles. */
  | "unknown proxy";

export function wayOf(request: IncomingMessage, client: ClientOf): Way {
  if ((request.socket as TLSSocket).encrypted) return "secure";
  if (client.isHere(request)) return "near";
  const forwarded = first(request.headers["x-forwarded-proto"])?.toLowerCase();
  if (isTrusted(request, client)) return forwarded === "http" ? "plain" : "near";
  return forwarded === "https" ? "unknown proxy" : "plain";
}

const UNKNOWN_PROXY =
  "A reverse proxy says that this came by HTTPS, but it is not known here. Who runs this place: " +
  "name the proxy's address in http.trusted_proxies.";

/** Lets through what is secure or near, and sends the rest to HTTPS. */
export function httpsOnly(client: ClientOf, certificates: CertificateSource): RequestHandler {
  return (request, response, next) => {
    const way = wayOf(request, client);
    if (way === "secure") {
      if (mayInsist(request, certificates))
        response.set("Strict-Transport-Security", `max-age=${HALF_A_YEAR_S}`);
      next();
      return;
    }
    if (way === "near") {
      next();
      return;
    }
    response.set({
      "Cache-Control": "no-store",
      Connection: "close",
      "Content-Security-Policy": "default-src 'none'",
    });
    if (way === "unknown proxy") {
      response.status(403).type("text").send(`${UNKNOWN_PROXY}\n`);
      return;
    }
    const origin = secureOrigin(request, client);
    if (origin === undefined) {
      response.status(400).type("text").send("The header Host says no name.\n");
      return;
    }
    const path = request.originalUrl.startsWith("/") ? request.originalUrl : "/";
    // Browsers would remember it for ever, also when HTTPS is switched off one day: no-store forbids that.
    response.status(308).set("Location", origin + path);
    // For who reads it all the same: most go on without showing it.
    const note = certificates.current.selfSigned
      ? `\n<p>Your browser will warn of its certificate: <a href="${plainOrigin(origin)}/certificate">why, and what to do</a>.</p>`
      : "";
    const link = escaped(origin + path);
    response
      .type("html")
      .send(`<!doctype html>\n<p>This page is at <a href="${link}">${link}</a>.</p>${note}\n`);
  };
}

/** Refuses an upgrade of a plain connection from elsewhere: it would carry what people say past everybody's eyes. */
export function secureUpgradesOnly(upgrade: UpgradeListener, client: ClientOf): UpgradeListener {
  return (request, socket, head) => {
    const way = wayOf(request, client);
    if (way === "secure" || way === "near") upgrade(request, socket, head);
    else if (way === "unknown proxy") refuseUpgrade(socket, 403, UNKNOWN_PROXY);
    else {
      const origin = secureOrigin(request, client)?.replace("https", "wss");
      const where = origin === undefined ? "wss://" : `${origin}/ws`;
      // RFC 2817: the connection would have to begin with TLS.
      refuseUpgrade(socket, 426, `Connect with TLS: ${where}`, "Upgrade: TLS/1.2\r\n");
    }
  };
}

const HALF_A_YEAR_S = 15_552_000;

/**
 * Whether browsers may be told never to come without HTTPS again. It binds them to the name on every port, so only with
 * a certificate that they take, and only at a name's own port: at `name:8443` it would cut off what else the name has.
 */
function mayInsist(request: IncomingMessage, certificates: CertificateSource): boolean {
  return !certificates.current.selfSigned && HOST.exec(request.headers.host ?? "")?.[2] === undefined;
}

/** A name or an address, and the port if there is one. */
export const HOST = /^(\[[0-9a-f:.]+\]|[^\s/?#@:\\[\]<>"']+)(?::(\d{1,5}))?$/i;

/**
 * Where the same host has HTTPS, such as `https://chat.example:8080`; undefined when the request names no host. It is
 * the port that the visitor came to, because it speaks both; but of a proxy only its default port is known.
 */
function secureOrigin(request: IncomingMessage, client: ClientOf): string | undefined {
  const { headers } = request;
  const proxied = isTrusted(request, client);
  const host =
    (proxied ? first(headers["x-forwarded-host"]) : undefined) ?? headers.host ?? localHost(request);
  const [, name, port = "80"] = HOST.exec(host) ?? [];
  if (name === undefined) return undefined;
  return URL.parse(`https://${name}${proxied ? "" : `:${port}`}`)?.origin;
}

export const isTrusted = ({ socket }: IncomingMessage, { trust }: ClientOf): boolean =>
  socket.remoteAddress !== undefined && trust(socket.remoteAddress, 0);

/** For clients of HTTP/1.0, which need not say what they call us. */
function localHost({ socket: { localAddress = "", localPort } }: IncomingMessage): string {
  return `${localAddress.includes(":") ? `[${localAddress}]` : localAddress}:${localPort}`;
}

/** Where a page can be read before the browser warns. The port of the secure origin speaks plain HTTP too. */
function plainOrigin(origin: string): string {
  const url = new URL(origin);
  return `http://${url.hostname}:${url.port || "443"}`;
}

export const first = (header: string | string[] | undefined): string | undefined =>
  (typeof header === "string" ? header : header?.[0])?.split(",")[0]!.trim();

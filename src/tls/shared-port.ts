/**
 * One port for HTTP, HTTPS, STUN and TURN: the first byte of a connection tells plain from TLS, the first byte after
 * the handshake tells HTTP from STUN. Then the connection belongs to whom it is for and costs what it always cost.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import type { Clock } from "../clock.ts";
import { Arrivals, type ArrivalRules } from "./arrivals.ts";
import type { CertificateSource } from "./certificate.ts";
import type { DomainChecks } from "./domain-checks.ts";
import { anything, offersAcme, peek, speechOf, wholeRecord } from "./first-bytes.ts";

/** Why a connection was closed before anything was asked on it. */
export type Dropped = "slow" | "crowded" | "handshake" | "unknown";

export interface SharedPortParts {
  readonly certificates: CertificateSource;
  /**
   * Takes a connection on which STUN or TURN is spoken, without or behind TLS. The socket is paused and holds every byte
   * that came; its errors are heard. It has to be gone before the server can close. Without this such connections are
   * closed.
   */
  readonly onStun?: (socket: Socket) => void;
  /** Without it nobody looks for the checks of an authority. */
  readonly checks?: Pick<DomainChecks, "overTls">;
  readonly clock: Clock;
  /** Counts. Called on a hot path. */
  readonly dropped: (reason: Dropped) => void;
  readonly rules?: ArrivalRules;
}

const RULES: ArrivalRules = { timeout: 10_000, max: 2_000 };

const ALPN = ["http/1.1", "stun.turn"];

/** Takes the connections of `server` before it does. To be called before it listens; returns what ends it. */
export function sharePort(
  server: Server,
  parts: SharedPortParts,
): { close(): void; readonly arrivals: number } {
  const { certificates, onStun, checks, clock, dropped, rules = RULES } = parts;
  const arrivals = new Arrivals(rules, clock, dropped);

  // What Node's server does with a connection is its listener for it: TLS sockets go the same way, as in `node:https`.
  const [serveHttp] = server.listeners("connection") as [(this: Server, socket: Socket) => void];
  server.removeAllListeners("connection");

  const serve = (raw: Socket, socket: Socket, first: number): void => {
    arrivals.settle(raw);
    const speech = speechOf(first);
    if (speech === "http") {
      // Below TLS it stays: nobody else listens there.
      socket.removeListener("error", ignore);
      serveHttp.call(server, socket);
      socket.resume();
    } else if (speech === "stun" && onStun) {
      // HTTP answers a client that has ended its side already; STUN has nothing to say to one.
      socket.allowHalfOpen = false;
      onStun(socket);
    } else drop(socket, "unknown");
  };

  const drop = (socket: Socket, reason: Dropped): void => {
    dropped(reason);
    socket.destroy();
  };

  const handshake = (raw: Socket, secureContext: SecureContext, protocols: string[]): TLSSocket => {
    const secure = new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols: protocols });
    secure.on("error", ignore);
    secure.once("_tlsError", () => drop(secure, "handshake"));
    return secure;
  };

  const speakTls = (raw: Socket): void => {
    const secure = handshake(raw, certificates.current.context, ALPN);
    peek(secure, anything, (bytes) => serve(raw, secure, bytes[0]!));
  };

  const answer = async (raw: Socket): Promise<void> => {
    const context = await checks!.overTls().catch(() => undefined);
    if (context === undefined) drop(raw, "unknown");
    // The handshake is the answer: the authority closes after it.
    else if (!raw.destroyed) {
      const secure = handshake(raw, context, ["acme-tls/1"]);
      secure.once("secure", () => secure.end());
    }
  };

  server.on("connection", (raw: Socket) => {
    arrivals.add(raw);
    raw.on("error", ignore);
    peek(raw, checks ? wholeRecord : anything, (bytes) => {
      if (speechOf(bytes[0]!) !== "tls") serve(raw, raw, bytes[0]!);
      else if (checks && offersAcme(bytes)) void answer(raw);
      else speakTls(raw);
    });
  });

  return {
    close: () => arrivals.close(),
    get arrivals() {
      return arrivals.size;
    },
  };
}

/** What a connection dies of is no news: it closes, and that is seen. */
function ignore(): void {}

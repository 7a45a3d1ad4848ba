/** The STUN and TURN servers that a visitor is offered: our own relay, one of another node, and those of the operator. */
import { isIPv6 } from "node:net";
import type { Config } from "../config/options.ts";
import { isLoopbackHost } from "../loopback.ts";
import type { Came } from "../node/came.ts";
import type { Ice } from "../node/contracts.ts";
import type { IceServer } from "../protocol/messages.ts";
import { type Credentials, credentialsFor, relayUserOf } from "./credentials.ts";
import type { RelayAddresses } from "./addresses.ts";

/** Where a relay is found. */
export interface RelayPlace {
  readonly hosts: readonly string[];
  readonly port: number;
}

/** An embedded relay as the nodes of its appliance know it. */
export interface OwnRelay extends RelayPlace {
  readonly reach: RelayAddresses["reach"];
  readonly secret: string;
}

export interface IceParts {
  readonly ice: Pick<Config["ice"], "urls" | "username" | "credential" | "policy">;
  readonly turn: Pick<Config["turn"], "urls" | "secret" | "credential_lifetime">;
  /** Our own, as it is now; undefined where none runs. */
  relay(): OwnRelay | undefined;
  /** The relays of the other nodes of the cluster. They take the same credentials. */
  others(): readonly RelayPlace[];
  /** Milliseconds since the Unix epoch. */
  wallClock(): number;
}

/** Credentials are renewed so often within their lifetime. */
const RENEWALS = 3;

export function relayIce({ ice, turn, relay, others, wallClock }: IceParts): Ice {
  const fixed: IceServer[] =
    ice.urls.length === 0
      ? []
      : [
          {
            urls: [...ice.urls],
            ...(ice.username && { username: ice.username, credential: ice.credential }),
          },
        ];
  const until = (): number => wallClock() + turn.credential_lifetime;
  const credentials = (secret: string, session: string): Credentials =>
    credentialsFor(secret, relayUserOf(secret, session), until());
  const isExternal = turn.urls.length > 0;
  const renews = isExternal || relay() !== undefined;
  const policy = ice.policy === "relay" ? "relay" : "all";
  return {
    policy,
    ...(renews && { renewEvery: Math.max(1_000, turn.credential_lifetime / RENEWALS) }),
    whereabouts() {
      const own = relay();
      return own ? own.hosts.map((host) => at(host, own.port)).join(" ") : "";
    },
    servers(session, came) {
      const servers = [...fixed];
      if (isExternal) servers.unshift({ urls: [...turn.urls], ...credentials(turn.secret, session) });
      const own = relay();
      if (own) servers.unshift(...embedded(own, others(), session, came));
      return servers;
    },
  };

  function embedded(
    own: OwnRelay,
    more: readonly RelayPlace[],
    session: string,
    came: Came | undefined,
  ): IceServer[] {
    const hosts = hostsFor(own, came);
    const signed = credentials(own.secret, session);
    const second = chosen(more, session);
    const turns =
      !came?.host || came.tlsPort === undefined ? [] : [`turns:${at(came.host, came.tlsPort)}?transport=tcp`];
    return [
      ...(policy === "relay" || hosts.length === 0 ? [] : [{ urls: [`stun:${at(hosts[0]!, own.port)}`] }]),
      ...(hosts.length === 0 ? [] : [{ urls: [...turnUrls(hosts, own.port), ...turns], ...signed }]),
      ...(second ? [{ urls: [turnUrl(second.hosts[0]!, second.port, "udp")], ...signed }] : []),
    ];
  }
}

/**
 * Who came to us by a name reaches the relay by it too. The name of a proxy may lead to another machine, so a public
 * address is better; and browsers do not like to reach a relay over loopback, which is no way to others.
 */
function hostsFor({ hosts, reach }: OwnRelay, came: Came | undefined): readonly string[] {
  if (came === undefined || came.host === "") return hosts;
  const isHere = isLoopbackHost(came.host);
  if (reach === "this machine") return isHere ? hosts : [];
  if (isHere || (came.proxied && reach === "public")) return hosts;
  return [came.host];
}

/** Few: every address costs the browser time before it has looked everywhere, and Firefox warns of five. */
const turnUrls = ([first = "", ...more]: readonly string[], port: number): string[] => [
  turnUrl(first, port, "udp"),
  turnUrl(first, port, "tcp"),
  ...more.map((host) => turnUrl(host, port, "udp")),
];

const turnUrl = (host: string, port: number, transport: "udp" | "tcp"): string =>
  `turn:${at(host, port)}?transport=${transport}`;

const at = (host: string, port: number): string => `${isIPv6(host) ? `[${host}]` : host}:${port}`;

/** The same one for a session, as long as the others stay; different ones for different sessions. */
function chosen(places: readonly RelayPlace[], session: string): RelayPlace | undefined {
  let sum = 0;
  for (let i = 0; i < session.length; i += 1) sum = (sum * 31 + session.charCodeAt(i)) >>> 0;
  return places[sum % places.length];
}

/** Options that are each allowed but cannot work together. */
import { isOutward } from "../address-ranges.ts";
import { type Config, type Key, options } from "./options.ts";

export interface Contradiction {
  /** The option to change. */
  key: Key;
  /** Goes on after the key's name. */
  problem: string;
}

/** `isGiven` tells whether somebody chose the value of a key: of two that exclude each other that is the one to change. */
export function* contradictions(config: Config, isGiven: (key: Key) => boolean): Generator<Contradiction> {
  const { ice, tls, domain, https, acme, turn } = config;
  if (tls === "acme" && domain === "") {
    yield { key: "tls", problem: 'is "acme", so domain must say which name the certificate is for' };
  }
  if (tls === "files" && (https.certificate === "" || https.key === "")) {
    yield { key: "tls", problem: 'is "files", so https.certificate and https.key must be given too' };
  } else if (https.certificate !== "" && https.key === "") {
    yield { key: "https.certificate", problem: "is given, so https.key must be given too" };
  } else if (https.key !== "" && https.certificate === "") {
    yield { key: "https.key", problem: "is given, so https.certificate must be given too" };
  }
  if (acme.eab_key_id !== "" && acme.eab_key === "") {
    yield { key: "acme.eab_key_id", problem: "is given, so acme.eab_key must be given too" };
  } else if (acme.eab_key !== "" && acme.eab_key_id === "") {
    yield { key: "acme.eab_key", problem: "is given, so acme.eab_key_id must be given too" };
  }
  const isTurn = (url: string): boolean => url.startsWith("turn");
  const relays = ice.urls.some(isTurn);
  if (relays && (ice.username === "" || ice.credential === "")) {
    yield {
      key: "ice.urls",
      problem: "names a TURN server, so ice.username and ice.credential must be given too",
    };
  }
  if (ice.policy === "relay" && !relays && !turn.enabled && !turn.urls.some(isTurn)) {
    yield {
      key: "ice.policy",
      problem:
        'is "relay", so there must be a TURN server, by turn.enabled, turn.urls or ice.urls: no call could connect',
    };
  }
  if (turn.urls.some(isTurn) && turn.secret === "") {
    yield {
      key: "turn.urls",
      problem:
        "names a TURN server, so turn.secret must be given too; ice.urls is for servers with a password",
    };
  }
  if (turn.secret !== "" && turn.urls.length === 0) {
    yield { key: "turn.secret", problem: "is given, so turn.urls must name the servers that it is for" };
  }
  for (const [key, host] of [
    ["host", config.host],
    ["turn.host", turn.host],
  ] as const) {
    // It means nothing without the interface behind it, and there it has no place in an address of the web.
    if (/^fe[89ab].:/i.test(host)) {
      const problem = `is ${host}, a link-local address, which no browser can open: give another, or "::" for every one`;
      yield { key, problem };
    }
  }
  if (hasRelay(config)) yield* relayContradictions(turn, isGiven);
  const listeners = listenersOf(config);
  for (const [index, one] of listeners.entries()) {
    for (const other of listeners.slice(0, index)) {
      if (one.port === 0 || one.port !== other.port || !meet(one.host, other.host)) continue;
      const [key, taken] = isGiven(one.key) ? [one.key, other.key] : [other.key, one.key];
      yield { key, problem: `is ${one.port}, and so is ${taken}: two cannot listen on one port` };
    }
  }
}

/** Whether the embedded relay runs. */
const hasRelay = ({ turn }: Config): boolean => turn.enabled && turn.urls.length === 0;

/** A browser takes several for one call. */
const FEWEST_PORTS = 10;

function* relayContradictions(
  { min_port, max_port, bandwidth, total_bandwidth, public_address }: Config["turn"],
  isGiven: (key: Key) => boolean,
): Generator<Contradiction> {
  const ports = max_port - min_port + 1;
  const few = `leaves ${ports} ports, from ${min_port} to ${max_port}: calls need ${FEWEST_PORTS} at least, and each takes several`;
  if (ports < FEWEST_PORTS && isGiven("turn.min_port")) {
    const above = `must not be above turn.max_port, which is ${max_port}`;
    yield { key: "turn.min_port", problem: ports < 1 ? above : few };
  } else if (ports < FEWEST_PORTS) {
    const below = `must not be below turn.min_port, which is ${min_port}`;
    yield { key: "turn.max_port", problem: ports < 1 ? below : few };
  }
  if (total_bandwidth > 0 && total_bandwidth < bandwidth) {
    const least = options["turn.bandwidth"].type.format(bandwidth);
    const problem = `must not be below turn.bandwidth, which is ${least}: no call would get a port`;
    yield { key: "turn.total_bandwidth", problem };
  }
  if (public_address !== "" && !isOutward(public_address)) {
    yield {
      key: "turn.public_address",
      problem: `is ${public_address}, at which nobody reaches another machine`,
    };
  }
}

interface Listener {
  key: Key;
  host: string;
  port: number;
}

/** Who listens for TCP. (That acme.http_port is the port of the page is fine: it is asked there then.) */
function listenersOf(config: Config): Listener[] {
  const { host, port, redis, link, turn, tls, acme } = config;
  const checks = tls === "acme" && acme.challenge !== "tls-alpn-01" && acme.http_port !== port;
  return [
    { key: "port", host, port },
    ...(checks ? [{ key: "acme.http_port" as const, host, port: acme.http_port }] : []),
    ...(redis !== "" ? [{ key: "link.port" as const, host: link.bind, port: link.port }] : []),
    // Without turn.host it is that of host, or every address.
    ...(hasRelay(config) ? [{ key: "turn.port" as const, host: turn.host || host, port: turn.port }] : []),
  ];
}

/** Whether two listen on one address, as far as their spelling tells. */
const meet = (one: string, other: string): boolean =>
  one === other || isPartOf(one, other) || isPartOf(other, one);

const isPartOf = (host: string, wide: string): boolean =>
  wide === "::" || (wide === "0.0.0.0" && !host.includes(":"));

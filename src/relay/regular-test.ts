/** Tries the relay at start, twice a day and when it has moved, and tells how it was. */
import { isIPv6 } from "node:net";
import type { Clock } from "../clock.ts";
import type { IceServer } from "../protocol/messages.ts";
import type { Nat } from "./addresses.ts";
import { testRelay, type Tried } from "./self-test.ts";
import type { TurnReason } from "./turn-error.ts";

export interface RegularTestParts {
  /** Those that visitors are given, with credentials that are valid now. */
  servers(): readonly IceServer[];
  readonly clock: Clock;
  /** Milliseconds since the Unix epoch. */
  wallClock(): number;
  readonly log: {
    info(what: object, message: string): void;
    warn(what: object, message: string): void;
    error(what: object, message: string): void;
  };
  nat?(): Nat | undefined;
  /** Where our own is. One that has moved is tried anew. */
  whereabouts?(): string;
  readonly test?: typeof testRelay;
}

/** How the last test went. */
export interface RelayHealth {
  /** Whether every server is of use; undefined until the first test has ended. */
  readonly ok?: boolean;
  /** When it was, as text. */
  readonly tested?: string;
  readonly servers: readonly Pick<Tried, "url" | "outcome" | "ms" | "problem">[];
}

export interface RegularTest {
  /** Undefined where there is no server to try. */
  readonly health: RelayHealth | undefined;
  stop(): void;
}

const AGAIN_MS = 12 * 3_600_000;
/** What fails may be back soon, and somebody waits to read it. */
const AGAIN_AFTER_FAILURE_MS = 10 * 60_000;
/** What starts together with us, or is just started again, has not failed: a failure is told when it lasts. */
const CONFIRM_MS = 5_000;
const MOVED_MS = 10_000;

const NOT_FROM_HERE =
  "it is not reached from this machine by its public address; many routers do not lead back to themselves, so only " +
  "somebody elsewhere can tell";

/** What to change; it stands alone. */
const ADVICE: Partial<Record<TurnReason, string>> = {
  unknown_host: "check the name in ice.urls or turn.urls",
  unreachable:
    "check the address in ice.urls, turn.urls or turn.public_address, and that this machine has a way to it",
  refused: "check that the server runs, and its port: turn.port, ice.urls or turn.urls",
  no_answer:
    "open turn.port (UDP and TCP) and turn.min_port to turn.max_port (UDP), or the ports of the server that ice.urls or " +
    "turn.urls names, in the firewalls in between, and forward them in the router",
  closed: "check the port in ice.urls or turn.urls, and that TURN is what listens there",
  not_turn: "check the port in ice.urls or turn.urls: turn: is without TLS, turns: with it",
  untrusted: "get a certificate that browsers take, for this name (tls, domain)",
  unauthorised: "check ice.username and ice.credential, or turn.secret, and the clock of both machines",
  quota:
    "raise turn.session_allocations, turn.max_allocations or turn.total_bandwidth, or widen turn.min_port to " +
    "turn.max_port; elsewhere user-quota, total-quota, bps-capacity, min-port and max-port of coturn",
  forbidden_peer: "let the TURN server relay to its own address (coturn: allowed-peer-ip)",
};

/** By what one recognizes that a server was not reached at all. */
const UNREACHED: readonly TurnReason[] = ["unreachable", "refused", "no_answer", "closed"];

export const adviceOn = (reason: TurnReason | undefined): string | undefined => reason && ADVICE[reason];

export function testRegularly(parts: RegularTestParts): RegularTest {
  const { clock, wallClock, log, test = testRelay } = parts;
  let health: RelayHealth | undefined;
  let told = "";
  let worked = true;
  let stopped = false;
  let cancel = (): void => {};
  let stopFollowing = (): void => {};
  let where: string | undefined;
  let isTrying = false;

  const look = async (): Promise<Tried[]> => {
    where = parts.whereabouts?.();
    const nat = parts.nat?.();
    const servers = parts.servers();
    if (!nat) return test(servers, { clock });
    const [tried, within] = await Promise.all([
      test(servers, { clock }),
      test(fromInside(servers, nat), { clock }),
    ]);
    const twins = new Map(within.map((each) => [each.url, each]));
    return tried.map((each) => pastRouter(each, twins.get(inside(each.url, nat))));
  };
  const fails = (tried: readonly Tried[]): boolean => tried.some(({ outcome }) => outcome === "fails");

  const turn = async (again: boolean): Promise<void> => {
    isTrying = true;
    const tried = await look();
    isTrying = false;
    if (stopped) return;
    if (fails(tried) && !again && health?.ok !== false) {
      cancel = clock.after(CONFIRM_MS, () => void turn(true));
      return;
    }
    health = healthOf(tried, wallClock());
    tell(tried);
    cancel = clock.after(health?.ok === false ? AGAIN_AFTER_FAILURE_MS : AGAIN_MS, () => void turn(false));
  };

  const follow = (): void => {
    if (isTrying || where === parts.whereabouts?.()) return;
    cancel();
    void turn(false);
  };

  /** Only news: what fails is tried often. */
  const tell = (tried: readonly Tried[]): void => {
    const news = tried.map(({ url, outcome, problem = "" }) => `${url} ${outcome} ${problem}`).join("\n");
    if (news === told) return;
    told = news;
    for (const { url, outcome, problem, reason } of tried) {
      const what = { url, problem, advice: adviceOn(reason) };
      if (outcome === "fails") log.error(what, "the relay's test failed: some calls will not connect");
      if (outcome === "limited") log.warn(what, "the relay works, with a limit");
    }
    const works = tried.every(({ outcome }) => outcome === "works");
    if (tried.length > 0 && works)
      log.info({ servers: tried.length }, worked ? "the relay works" : "the relay works again");
    worked = works;
  };

  if (parts.servers().length > 0) {
    health = { servers: [] };
    void turn(false);
    if (parts.whereabouts) stopFollowing = clock.every(MOVED_MS, follow);
  }
  return {
    get health() {
      return health;
    },
    stop() {
      stopped = true;
      cancel();
      stopFollowing();
    },
  };
}

function healthOf(tried: readonly Tried[], now: number): RelayHealth | undefined {
  if (tried.length === 0) return undefined;
  return {
    ok: tried.every(({ outcome }) => outcome !== "fails"),
    tested: new Date(now).toISOString(),
    servers: tried.map(({ url, outcome, ms, problem }) => ({
      url,
      outcome,
      ms: Math.round(ms),
      ...(problem === undefined ? {} : { problem }),
    })),
  };
}

/** The same servers as this machine itself has them: what the router forwards is left out of it. */
function fromInside(servers: readonly IceServer[], nat: Nat): IceServer[] {
  return servers.flatMap((server) => {
    const urls = [server.urls].flat();
    const within = urls.map((url) => inside(url, nat)).filter((url) => !urls.includes(url));
    return within.length === 0 ? [] : [{ ...server, urls: within }];
  });
}

const inside = (url: string, nat: Nat): string =>
  url.replace(`:${bracketed(nat.outside)}:`, `:${bracketed(nat.inside)}:`);

const bracketed = (address: string): string => (isIPv6(address) ? `[${address}]` : address);

/** That we do not reach ourselves by the router says nothing of others: then what its inside does counts. */
function pastRouter(tried: Tried, within: Tried | undefined): Tried {
  const unreached =
    tried.outcome === "fails" && tried.reason !== undefined && UNREACHED.includes(tried.reason);
  if (!unreached || !within) return tried;
  const { outcome, problem, reason, ms } = within;
  if (outcome === "works") return { ...tried, outcome: "limited", problem: NOT_FROM_HERE, ms };
  return { ...tried, outcome, ms, ...(problem && { problem }), ...(reason && { reason }) };
}

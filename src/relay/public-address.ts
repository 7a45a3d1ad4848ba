/**
 * Finds the public address of a relay that no interface has: behind a NAT that leads to it, as clouds have them and routers
 * that forward its ports. A server elsewhere says from where it sees us, and an allocation there whether that leads to us.
 */
import { Resolver } from "node:dns/promises";
import { isIP, isIPv4 } from "node:net";
import type { Clock } from "../clock.ts";
import type { Nat } from "./addresses.ts";
import { credentialsFor } from "./credentials.ts";
import { type IcePlace, parseIceUrl } from "./ice-url.ts";
import { isPublic } from "../address-ranges.ts";
import { openTurnClient, type TurnClient } from "./turn-client.ts";

/** A relay whose public address is looked for. */
export interface Sought {
  /** Its private address. Of IPv4: nobody needs a NAT for the other. */
  readonly inside: string;
  /** The public one that was found before, and is used. */
  readonly outside?: string;
  /** Where it relays, as it tells clients. */
  readonly relayed: readonly string[];
  /** Every address of this machine. */
  readonly own: readonly string[];
  readonly port: number;
  /** What credentials for it are made with. */
  readonly secret: string;
}

export interface FinderParts {
  /** `stun:` URLs, asked one after the other until one answers. */
  readonly servers: readonly string[];
  /** As it is now; undefined while its address is known otherwise, or it does not run. */
  relay(): Sought | undefined;
  /** Told of an address that leads to it; again, while the relay does not tell it itself. */
  found(nat: Nat): void;
  readonly clock: Clock;
  readonly log: {
    debug(what: object, message: string): void;
    info(what: object, message: string): void;
  };
  readonly ask?: typeof askServer;
  readonly tryAt?: typeof relayedAt;
}

export interface Finder {
  /** Asks after so long, and from then on regularly. */
  askIn(ms: number): void;
  stop(): void;
}

/** Addresses at home change. */
const AGAIN_MS = 30 * 60_000;
const AGAIN_UNANSWERED_MS = 60_000;
const ANSWER_MS = 3_000;
const CREDENTIALS_MS = 60_000;
/** What it was tried with still counts as a call for a second, and who counts them remembers for another. */
const LET_GO_MS = 2_500;

/** Until the next time, after nobody has answered so many times in a row. */
export const pauseAfter = (unanswered: number): number =>
  unanswered === 0 ? AGAIN_MS : Math.min(AGAIN_UNANSWERED_MS * 2 ** (unanswered - 1), AGAIN_MS);

/** Whether an address that we are seen from may be that of a NAT in front of the relay, and is none that it knows. */
export const isNews = (seen: string, { outside, own }: Pick<Sought, "outside" | "own">): boolean =>
  isIPv4(seen) && isPublic(seen) && seen !== outside && !own.includes(seen);

/** Asks nobody until it is told to. */
export function findPublicAddress(parts: FinderParts): Finder {
  const { servers, clock, log, ask = askServer, tryAt = relayedAt } = parts;
  let turn = new AbortController();
  let unanswered = 0;
  let told = "";

  /** Only news. */
  const say = (what: { seen: string; by: string; reason?: string }, message: string): void => {
    const news = `${what.seen} ${message}`;
    if (news !== told) log.info(what, message);
    told = news;
  };

  const askAll = async (signal: AbortSignal): Promise<{ seen: string; by: string } | undefined> => {
    for (const by of servers) {
      try {
        return { seen: await ask(by, { clock, signal }), by };
      } catch (error) {
        if (signal.aborted) return undefined;
        log.debug({ by, reason: (error as Error).message }, "cannot ask from where this machine is seen");
      }
    }
    return undefined;
  };

  /** Whether it is ours: another machine behind the same NAT may have a relay there that takes the same credentials. */
  const leadsToUs = async (
    seen: string,
    by: string,
    relay: Sought,
    signal: AbortSignal,
  ): Promise<boolean> => {
    let reason = "it leads to another relay";
    try {
      if (relay.relayed.includes(await tryAt(seen, relay, { clock, signal }))) {
        say({ seen, by }, "the public address of the relay is found");
        return true;
      }
    } catch (error) {
      reason = (error as Error).message;
    }
    if (!signal.aborted)
      say(
        { seen, by, reason },
        "this machine is seen from an address at which it does not find its own relay. If the router forwards the ports " +
          "of the relay, set turn.public_address: many routers do not lead back to themselves",
      );
    return false;
  };

  const look = async (signal: AbortSignal): Promise<void> => {
    const relay = parts.relay();
    const answer = relay && (await askAll(signal));
    if (signal.aborted) return;
    unanswered = answer ? 0 : unanswered + 1;
    const isFound =
      relay !== undefined &&
      answer !== undefined &&
      isNews(answer.seen, relay) &&
      (await leadsToUs(answer.seen, answer.by, relay, signal));
    if (signal.aborted) return;
    const again = (): void => askIn(pauseAfter(unanswered));
    if (!isFound) return again();
    later(LET_GO_MS, signal, () => {
      parts.found({ outside: answer.seen, inside: relay.inside });
      again();
    });
  };

  const later = (ms: number, signal: AbortSignal, what: () => void): void => {
    signal.addEventListener("abort", clock.after(ms, what), { once: true });
  };
  const askIn = (ms: number): void => {
    turn.abort();
    turn = new AbortController();
    const { signal } = turn;
    if (servers.length > 0) later(ms, signal, () => void look(signal));
  };
  return { askIn, stop: () => turn.abort() };
}

export interface AskOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** From which address of IPv4 a STUN server sees us. */
export async function askServer(url: string, options: AskOptions): Promise<string> {
  const place = parseIceUrl(url)!;
  const host = isIP(place.host) ? place.host : await addressOf(place.host, options.signal);
  return withClient({ ...place, host }, options, async (client) => (await client.bind()).address);
}

/** The address at which the relay relays that is found at `outside`; rejects where that takes no credentials of ours. */
export async function relayedAt(
  outside: string,
  { port, secret }: Pick<Sought, "port" | "secret">,
  options: AskOptions,
): Promise<string> {
  const place: IcePlace = { kind: "turn", host: outside, port, transport: "udp" };
  return withClient(place, options, async (client) => {
    const allocation = await client.allocate(
      credentialsFor(secret, "public-address", Date.now() + CREDENTIALS_MS),
    );
    await allocation.release();
    return allocation.relayed.address;
  });
}

async function withClient<T>(
  place: IcePlace,
  { clock, signal }: AskOptions,
  use: (client: TurnClient) => Promise<T>,
): Promise<T> {
  const client = await openTurnClient(place, { clock, timeout: ANSWER_MS });
  const close = (): void => client.close();
  signal.addEventListener("abort", close);
  try {
    signal.throwIfAborted();
    return await use(client);
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

/** Not by the system's resolver: without a network that keeps one of the few threads which also read files. */
async function addressOf(name: string, signal: AbortSignal): Promise<string> {
  const resolver = new Resolver({ timeout: ANSWER_MS, tries: 1 });
  const cancel = (): void => resolver.cancel();
  signal.addEventListener("abort", cancel);
  try {
    return (await resolver.resolve4(name))[0]!;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

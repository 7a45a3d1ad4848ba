/**
 * ZeroMQ endpoints of the links: `tcp://host:port` and, on one machine, `ipc://path`, or `ipc://@name` for a socket that
 * has a name and no file.
 */
import { Failure } from "../failure.ts";
import type { Peer } from "./link.ts";

const EVERYWHERE = new Set(["*", "0.0.0.0", "::", "[::]"]);

/** The endpoint of a host and a port. An IPv6 address may come with brackets or without. */
export function tcpEndpoint(host: string, port: number): string {
  return `tcp://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}

/** Where to listen. ZeroMQ's `*` is every address, and IPv6 is left out where the machine has none; its `[::]` would fail. */
export const listenEndpoint = (host: string, port: number): string =>
  tcpEndpoint(host === "::" ? "*" : host, port);

/**
 * The endpoint that others connect to. `asked` is where we were told to listen, `bound` is what became of it (with
 * the port that was free), `host` is the name or address that others know this machine by, if it is another.
 *
 * @throws Failure when nobody could know where to connect to.
 */
export function endpointForOthers(asked: string, bound: string, host?: string): string {
  if (!asked.startsWith("tcp://")) return bound;
  const own = host ?? asked.slice("tcp://".length, asked.lastIndexOf(":"));
  if (EVERYWHERE.has(own)) {
    throw new Failure(
      `a node that listens on every address (${asked}) must be told by which one the others reach it: set link.host`,
      2,
    );
  }
  return tcpEndpoint(own, Number(bound.slice(bound.lastIndexOf(":") + 1)));
}

/** The file that an `ipc://` endpoint leaves behind; undefined when it leaves none. */
export function fileOf(endpoint: string): string | undefined {
  return endpoint.startsWith("ipc:///") ? endpoint.slice("ipc://".length) : undefined;
}

/**
 * Where to connect to a peer, best first; nowhere when what it says makes no sense. An `ipc://` endpoint counts only beside our
 * own: the workers of one supervisor have a directory whose name it has made up for them. In any other it is another
 * machine's, or somebody wants us to open a file that is no node's.
 */
export function placesOf(peer: Where, own: Where): string[] {
  const ours = directoryOf(own.local ?? own.endpoint);
  const isGood = (place: string): boolean =>
    /^tcp:\/\/[^\s/]+:\d+$/.test(place) || (ours !== undefined && directoryOf(place) === ours);
  return [peer.local ?? "", peer.endpoint].filter(isGood);
}

type Where = Pick<Peer, "endpoint" | "local">;

/** The directory of an `ipc://` endpoint, or what stands for it in an abstract name; undefined when it is none. */
const directoryOf = (endpoint: string): string | undefined => /^ipc:\/\/(\S+)\/[\w-]+$/.exec(endpoint)?.[1];

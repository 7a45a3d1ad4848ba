/** What tests of the links share: a listener that can be waited for, links that end with the test, a wire to cut. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { realClock } from "../clock.ts";
import type { Envelope, Link, LinkEvents, Peer } from "./link.ts";
import { openZmqLink, type LinkTimes, type ZmqLinkOptions } from "./zmq-link.ts";

export const SECRET = "the link secret of the nodes in these tests";
/** Short, so that tests are; patience is long enough for a busy machine. */
export const TIMES: LinkTimes = { beat: 20, patience: 400, outage: 600, redial: 300, farewell: 200 };

/** Listens to a link and remembers. */
export class Listener implements LinkEvents {
  readonly envelopes: { from: string; envelope: Envelope }[] = [];
  readonly losses: { from: string; lost: number }[] = [];
  /** `n2 up`, `n2 down`, `n3 new`: in the order in which it was told. */
  readonly peers: string[] = [];
  readonly #waiting = new Set<() => void>();

  onEnvelope(from: string, envelope: Envelope): void {
    this.envelopes.push({ from, envelope });
    this.#told();
  }

  onLoss(from: string, lost: number): void {
    this.losses.push({ from, lost });
    this.#told();
  }

  onPeer(node: string, up: boolean): void {
    this.peers.push(`${node} ${up ? "up" : "down"}`);
    this.#told();
  }

  onNewcomer(node: string): void {
    this.peers.push(`${node} new`);
    this.#told();
  }

  /** Resolves as soon as it is true; asked again whenever the link tells something. */
  until(isTrue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isTrue()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** The signals that arrived, as text. */
  get signals(): string[] {
    return this.envelopes.map(({ envelope }) => textOf(envelope));
  }

  #told(): void {
    for (const check of this.#waiting) check();
  }
}

export const signal = (text: string): Envelope => ({
  kind: "note",
  to: "to",
  from: "from",
  note: { type: "signal", pair: "pair", epoch: 1, raw: Buffer.from(text) },
});

export const textOf = (envelope: Envelope): string =>
  envelope.kind === "note" && envelope.note.type === "signal"
    ? Buffer.from(envelope.note.raw).toString()
    : "";

export interface TestNode {
  link: Link;
  heard: Listener;
}

/** A link that is closed when the test ends. */
export async function openLink(node: string, options: Partial<ZmqLinkOptions> = {}): Promise<TestNode> {
  const heard = new Listener();
  const link = await openZmqLink({
    node,
    secret: SECRET,
    listen: "tcp://127.0.0.1:0",
    events: heard,
    clock: realClock,
    ...options,
    times: { ...TIMES, ...options.times },
  });
  onTestFinished(() => link.close());
  return { link, heard };
}

/** Links with all of each other as peers, ready. */
export async function openCluster(...nodes: string[]): Promise<TestNode[]> {
  const cluster = await Promise.all(nodes.map((node) => openLink(node)));
  introduce(...cluster);
  await ready(...cluster);
  return cluster;
}

export function introduce(...cluster: TestNode[]): void {
  const peers = cluster.map(({ link }) => link.self);
  for (const { link } of cluster) link.setPeers(peers);
}

export async function ready(...cluster: TestNode[]): Promise<void> {
  await Promise.all(cluster.map(({ link, heard }) => heard.until(() => link.isReady())));
}

/** A directory of the test's own. Short, because the path of a socket must be. */
export function ownDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "links-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A TCP wire to a publisher, which can be tapped, held and cut. */
export interface Wire {
  /** The publisher, at this end of the wire. */
  readonly peer: Peer;
  /** All bytes that went over it, in both directions. */
  readonly tapped: Buffer[];
  /** From now on nothing of the publisher comes through; it waits at the other end. */
  hold(): void;
  release(): void;
  /** Cuts all connections, with what waits in them. New ones go through. */
  cut(): void;
}

export async function wireTo(peer: Peer): Promise<Wire> {
  const { hostname, port } = new URL(peer.endpoint);
  const sockets = new Set<Socket>();
  const publishers = new Set<Socket>();
  const tapped: Buffer[] = [];
  let held = false;
  const server = createServer((subscriber) => {
    const publisher = connect(Number(port), hostname);
    publishers.add(publisher);
    for (const [from, to] of [
      [subscriber, publisher],
      [publisher, subscriber],
    ] as const) {
      sockets.add(from);
      from.on("data", (bytes: Buffer) => {
        tapped.push(bytes);
        to.write(bytes);
      });
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        publishers.delete(from);
        to.destroy();
      });
    }
    if (held) publisher.pause();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    server.close();
    cut();
  });
  return {
    peer: { ...peer, endpoint: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` },
    tapped,
    hold() {
      held = true;
      for (const publisher of publishers) publisher.pause();
    },
    release() {
      held = false;
      for (const publisher of publishers) publisher.resume();
    },
    cut,
  };
}

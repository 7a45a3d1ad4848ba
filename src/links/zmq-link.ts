/**
 * The link over ZeroMQ: one publisher, a subscriber for each peer, CURVE on all of them. Who hears whom is decided in
 * `peer-link.ts`; here are the sockets, the list of peers and the passing of time.
 */
import { rmSync } from "node:fs";
import "./zeromq-addon.ts"; // before zeromq
import { Context, XPublisher, capability } from "zeromq";
import type { Clock } from "../clock.ts";
import { Failure } from "../failure.ts";
import { endpointForOthers, fileOf } from "./endpoint.ts";
import { BROADCAST, nodeOf, topicOf } from "./frame.ts";
import { GATE_DOMAIN, openGate, type Gate } from "./gate.ts";
import { linkKeys, type LinkKeys } from "./keys.ts";
import { noCounts } from "./link.ts";
import type { Envelope, Link, LinkEvents, Peer, PeerStatus } from "./link.ts";
import { PeerLink, shield } from "./peer-link.ts";
import { CONNECTION, Remote, type RemoteParts } from "./remote.ts";
import { OutgoingStream } from "./stream.ts";

export interface ZmqLinkOptions {
  /** The id of this node, at most 255 bytes. */
  node: string;
  /** The cluster's link secret. */
  secret: string;
  /** Where to listen: `tcp://host:port` (host `*` for every address, port 0 for any free one) or `ipc://path`. */
  listen: string;
  /** Where to listen for the other workers of this machine as well: `ipc://directory/name`, see `placesOf`. */
  local?: string | undefined;
  /** The name or address that others reach this machine by, when it is another than the one to listen on. */
  host?: string;
  events: LinkEvents;
  clock: Clock;
  times?: Partial<LinkTimes>;
}

/** In ms. Each is rounded up to a number of beats. */
export interface LinkTimes {
  beat: number;
  /** A peer that says nothing for so long is down. */
  patience: number;
  /** A peer that is down for so long counts against readiness. Longer than a dead node stays in the registry. */
  outage: number;
  /** After so long without a word, and again and again, a peer is dialled anew. */
  redial: number;
  /** A peer that is up and missing from the list is forgotten after so long. */
  farewell: number;
}

const TIMES: LinkTimes = { beat: 500, patience: 3_000, outage: 7_000, redial: 10_000, farewell: 10_000 };

/** How much may be on its way to one peer. */
const WINDOW = { bytes: 8 * 1024 ** 2, batches: 8_192 };
/** How much may be sent to all within one beat. */
const WINDOW_TO_ALL = { bytes: 1024 ** 2, batches: 1_024 };
/** A batch that has come to this size does not wait for the end of the turn. */
const BATCH_BYTES = 256 * 1024;
/** What the windows let out fits, so ZeroMQ itself drops nothing as long as a connection lasts. */
const HIGH_WATER_MARK = 2 * WINDOW.batches;
/** A whole window may travel as one frame; a subscription is hardly longer than its topic. */
const MAX_FRAME_BYTES = WINDOW.bytes + 1024;
const MAX_SUBSCRIPTION_BYTES = 1024;
/** How long what was sent last may take to leave after `close`. zeromq prints a warning of its own from 500 on. */
const LINGER_MS = 300;

/** @throws Failure when this node cannot listen, or has no CURVE. */
export async function openZmqLink(options: ZmqLinkOptions): Promise<Link> {
  const { node, secret, listen, local, host } = options;
  const topic = topicOf(node);
  if (!topic) throw new Failure("the id of a node must have 1 to 255 bytes", 2);
  if (!capability.curve) throw new Failure("this build of ZeroMQ cannot encrypt: it has no CURVE");
  const keys = linkKeys(secret);
  const { publicKey, secretKey } = keys.publisher(node);

  const context = new Context({ blocky: false, maxSockets: 16_384 });
  const gate = await openGate(context, keys.subscriber.publicKey);
  const publisher = new XPublisher({
    ...CONNECTION,
    context,
    curveServer: true,
    curveSecretKey: secretKey,
    zapDomain: GATE_DOMAIN,
    zapEnforceDomain: true,
    maxMessageSize: MAX_SUBSCRIPTION_BYTES,
    sendHighWaterMark: HIGH_WATER_MARK,
    // A publisher never blocks. Told so, it sends at once instead of wanting to be waited for (EBUSY otherwise).
    sendTimeout: 0,
    linger: LINGER_MS,
    verbosity: "allSubs",
  });
  try {
    await bind(publisher, listen);
    const endpoint = endpointForOthers(listen, publisher.lastEndpoint ?? listen, host);
    if (local !== undefined) await bind(publisher, local);
    const self = { node, endpoint, publicKey, ...(local !== undefined && { local }) };
    return new ZmqLink(options, self, { topic, keys, context, gate, publisher });
  } catch (error) {
    publisher.close();
    gate.close();
    throw error;
  }
}

async function bind(publisher: XPublisher, endpoint: string): Promise<void> {
  try {
    await publisher.bind(endpoint);
  } catch (error) {
    const { message } = error as Error;
    throw new Failure(`cannot listen for other nodes on ${endpoint}: ${message}`, 1, { cause: error });
  }
}

const isSame = (a: Peer, b: Peer): boolean =>
  a.endpoint === b.endpoint && a.local === b.local && a.publicKey === b.publicKey;

interface Opened {
  topic: Buffer;
  keys: LinkKeys;
  context: Context;
  gate: Gate;
  publisher: XPublisher;
}

class ZmqLink implements Link {
  readonly self: Peer;
  readonly counts = noCounts();
  readonly #events: LinkEvents;
  readonly #keys: LinkKeys;
  readonly #gate: Gate;
  readonly #publisher: XPublisher;
  readonly #remoteParts: RemoteParts;
  readonly #ticks: Omit<LinkTimes, "beat">;
  readonly #stopTicking: () => void;
  readonly #remotes = new Map<string, Remote>();
  /** Whose subscription is in place, peer or not. */
  readonly #subscribed = new Set<string>();
  readonly #toAll = new OutgoingStream(BROADCAST, WINDOW_TO_ALL);
  readonly #unsent = new Set<PeerLink>();
  #flushScheduled = false;
  #knowsPeers = false;
  #wasReady = false;
  #closed = false;

  constructor({ events, clock, times }: ZmqLinkOptions, self: Peer, opened: Opened) {
    const { topic, keys, context, gate, publisher } = opened;
    this.self = self;
    this.#events = events;
    this.#keys = keys;
    this.#gate = gate;
    this.#publisher = publisher;
    this.#remoteParts = {
      context,
      keys: keys.subscriber,
      own: self,
      topic,
      highWaterMark: HIGH_WATER_MARK,
      maxFrameBytes: MAX_FRAME_BYTES,
    };
    const { beat, ...rest } = { ...TIMES, ...times };
    const ticks = (ms: number): number => Math.ceil(ms / beat);
    this.#ticks = {
      patience: ticks(rest.patience),
      outage: ticks(rest.outage),
      redial: ticks(rest.redial),
      farewell: ticks(rest.farewell),
    };
    void this.#readSubscriptions();
    void this.#countTurnedAway();
    this.#stopTicking = clock.every(beat, () => this.#tick());
  }

  send(node: string, envelope: Envelope): boolean {
    const link = this.#remotes.get(node)?.link;
    if (this.#closed || !link?.push(envelope)) {
      this.counts.refused += 1;
      return false;
    }
    this.counts.sent += 1;
    if (link.waiting >= BATCH_BYTES) {
      link.flush();
    } else {
      this.#unsent.add(link);
      this.#scheduleFlush();
    }
    return true;
  }

  broadcast(envelope: Envelope): boolean {
    if (this.#closed || !this.#toAll.push(envelope)) {
      this.counts.refused += 1;
      return false;
    }
    this.counts.sent += 1;
    this.#scheduleFlush();
    return true;
  }

  setPeers(peers: readonly Peer[]): void {
    if (this.#closed) return;
    const listed = new Map(peers.map((peer) => [peer.node, peer]));
    listed.delete(this.self.node);
    for (const [node, remote] of this.#remotes) {
      const peer = listed.get(node);
      if (peer && isSame(peer, remote.peer)) {
        remote.missing = undefined;
      } else if (peer || !remote.link.isUp) {
        this.#forget(remote);
      } else {
        remote.missing ??= 0;
      }
    }
    for (const [node, peer] of listed) if (!this.#remotes.has(node)) this.#add(peer);
    this.#knowsPeers = true;
    this.#noteReady();
  }

  isReady(): boolean {
    return this.#knowsPeers && !this.#closed && this.#missed().length === 0;
  }

  silentPeers(): string[] {
    if (!this.#knowsPeers) return ["nobody has said yet who the other nodes are"];
    return this.#missed().map((remote) => `${remote.peer.node} ${remote.status().why}`);
  }

  peers(): PeerStatus[] {
    return [...this.#remotes.values()].map((remote) => remote.status());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    this.#stopTicking();
    this.#publisher.close();
    for (const endpoint of [this.self.endpoint, this.self.local ?? ""]) {
      const file = fileOf(endpoint);
      if (file) rmSync(file, { force: true });
    }
    for (const remote of this.#remotes.values()) remote.close();
    this.#gate.close();
  }

  // Peers

  #add(peer: Peer): void {
    const { node } = peer;
    const topic = topicOf(node);
    const isForeign = topic === undefined || this.#keys.publisher(node).publicKey !== peer.publicKey;
    const events = this.#events;
    const link = new PeerLink({
      node,
      topic: topic ?? BROADCAST,
      toAll: this.#toAll,
      window: WINDOW,
      patience: this.#ticks.patience,
      counts: this.counts,
      transmit: (frame) => this.#publish(frame),
      events: {
        onEnvelope: (from, envelope) => events.onEnvelope(from, envelope),
        onLoss: (from, lost) => events.onLoss(from, lost),
        onPeer: (peer, up) => {
          this.#noteReady();
          events.onPeer(peer, up);
        },
      },
    });
    const remote = new Remote(peer, link, isForeign, this.#remoteParts);
    this.#remotes.set(node, remote);
    remote.dial();
    if (this.#subscribed.has(node) && !isForeign) link.onSubscribed(true);
  }

  #forget(remote: Remote): void {
    this.#remotes.delete(remote.peer.node);
    this.#unsent.delete(remote.link);
    remote.close();
    remote.link.end();
  }

  /** The peers for whose sake this node is not ready. */
  #missed(): Remote[] {
    return [...this.#remotes.values()].filter(({ link, missing }) => {
      if (link.isUp || missing !== undefined) return false;
      return !this.#wasReady || (link.wasUp && link.downTicks >= this.#ticks.outage);
    });
  }

  #noteReady(): void {
    this.#wasReady ||= this.isReady();
  }

  #tick(): void {
    this.#toAll.confirm(this.#toAll.next);
    for (const remote of this.#remotes.values()) {
      const { link } = remote;
      if (remote.missing !== undefined) {
        remote.missing += 1;
        if (!link.isUp || remote.missing > this.#ticks.farewell) {
          this.#forget(remote);
          continue;
        }
      }
      link.tick();
      if (link.quietTicks > 0 && link.quietTicks % this.#ticks.redial === 0) remote.dial();
    }
    this.#noteReady();
  }

  // Our publisher

  #publish(frame: Buffer): void {
    // Never in flight and never refused, see `sendTimeout`. Were it, the receiver would notice the gap.
    if (!this.#closed) this.#publisher.send(frame).catch(() => {});
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // After everything that this turn of the event loop has read from sockets.
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushScheduled = false;
    for (const link of this.#unsent) link.flush();
    this.#unsent.clear();
    const frame = this.#toAll.take();
    if (frame) this.#publish(frame);
  }

  async #readSubscriptions(): Promise<void> {
    for await (const [frame] of this.#publisher) {
      const node = frame && nodeOf(frame.subarray(1));
      if (!node || node === this.self.node || frame[0]! > 1) continue;
      const subscribed = frame[0] === 1;
      if (subscribed) this.#subscribed.add(node);
      else this.#subscribed.delete(node);
      const remote = this.#remotes.get(node);
      if (!remote && subscribed) shield(() => this.#events.onNewcomer?.(node));
      else if (remote && !remote.isForeign) remote.link.onSubscribed(subscribed);
    }
  }

  async #countTurnedAway(): Promise<void> {
    for await (const { type } of this.#publisher.events) {
      if (type.startsWith("handshake:error")) this.counts.turnedAway += 1;
    }
  }
}

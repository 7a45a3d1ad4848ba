/**
 * A peer and our way of hearing it: the subscriber that is connected to its publisher, and what became of that.
 *
 * ZeroMQ connects again by itself after a lost connection, but not after a refused handshake; whoever owns a remote
 * dials it anew when it stays silent.
 */
import "./zeromq-addon.ts"; // before zeromq
import { Subscriber, type Context } from "zeromq";
import { placesOf } from "./endpoint.ts";
import { BROADCAST } from "./frame.ts";
import type { KeyPair } from "./keys.ts";
import type { Peer, PeerStatus } from "./link.ts";
import type { PeerLink } from "./peer-link.ts";

/** What publishers and subscribers have in common. Times in ms. */
export const CONNECTION = {
  /** A machine that vanished does not say goodbye; without this TCP would wait for it for minutes. */
  heartbeatInterval: 1_000,
  heartbeatTimeout: 5_000,
  handshakeInterval: 5_000,
  reconnectInterval: 200,
  reconnectMaxInterval: 2_000,
  connectTimeout: 3_000,
  ipv6: true,
} as const;

/** Frames of one peer in a row before others get their turn. */
const FRAMES_A_TURN = 64;

const UNREACHABLE = "cannot be reached";
const NO_ENDPOINT = "has an endpoint that makes no sense";
const REFUSED = "does not accept our link secret";
const SAYS_NOTHING = "is connected and says nothing";
const DEAF = "does not hear us";
const FOREIGN = "has another link secret, or another version of the links";

export interface RemoteParts {
  readonly context: Context;
  /** The key pair of all subscribers. */
  readonly keys: KeyPair;
  /** This node. */
  readonly own: Peer;
  /** Our own topic. */
  readonly topic: Buffer;
  readonly highWaterMark: number;
  readonly maxFrameBytes: number;
}

export class Remote {
  readonly peer: Peer;
  readonly link: PeerLink;
  /** Whether its public key does not come from our link secret. It is never dialled then. */
  readonly isForeign: boolean;
  /** Ticks since it went missing from the list of peers; undefined while it is on it. */
  missing: number | undefined;
  readonly #parts: RemoteParts;
  readonly #places: readonly string[];
  #dials = 0;
  /** Where it was dialled last. */
  #place: string | undefined;
  #subscriber: Subscriber | undefined;
  #connection = UNREACHABLE;

  constructor(peer: Peer, link: PeerLink, isForeign: boolean, parts: RemoteParts) {
    this.peer = peer;
    this.link = link;
    this.isForeign = isForeign;
    this.#parts = parts;
    this.#places = placesOf(peer, parts.own);
  }

  /** Connects, anew when it was connected before; then it tries the next of the ways that there are. */
  dial(): void {
    if (this.isForeign) return;
    this.close();
    const place = (this.#place = this.#places[this.#dials % this.#places.length]);
    this.#dials += 1;
    if (place === undefined) {
      this.#connection = NO_ENDPOINT;
      return;
    }
    const { context, keys, topic, highWaterMark, maxFrameBytes } = this.#parts;
    const subscriber = new Subscriber({
      ...CONNECTION,
      context,
      curveServerKey: this.peer.publicKey,
      curvePublicKey: keys.publicKey,
      curveSecretKey: keys.secretKey,
      receiveHighWaterMark: highWaterMark,
      maxMessageSize: maxFrameBytes,
      linger: 0,
    });
    this.#subscriber = subscriber;
    // In this order: the publisher takes our own topic as the sign that we hear everything.
    subscriber.subscribe(BROADCAST, topic);
    try {
      subscriber.connect(place);
    } catch {
      this.#connection = NO_ENDPOINT;
    }
    // An error ends the reading and not the process: the peer falls silent then and is dialled anew.
    this.#read(subscriber).catch(() => {});
    this.#watch(subscriber).catch(() => {});
  }

  close(): void {
    this.#subscriber?.close();
    this.#subscriber = undefined;
  }

  status(): PeerStatus {
    const { peer, link, isForeign } = this;
    const state = isForeign ? "foreign" : link.isUp ? "up" : link.wasUp ? "lost" : "joining";
    return { node: peer.node, endpoint: this.#place ?? peer.endpoint, state, why: this.#why() };
  }

  #why(): string {
    if (this.isForeign) return FOREIGN;
    if (this.link.isUp) return "";
    return this.link.isHeard ? DEAF : this.#connection;
  }

  async #read(subscriber: Subscriber): Promise<void> {
    let frames = 0;
    for await (const [frame] of subscriber) {
      if (this.#subscriber !== subscriber) return;
      if (frame) this.link.onFrame(frame);
      frames += 1;
      if (frames % FRAMES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #watch(subscriber: Subscriber): Promise<void> {
    let isConnected = false;
    for await (const { type } of subscriber.events) {
      if (this.#subscriber !== subscriber) return;
      if (type === "connect") isConnected = true;
      else if (type === "handshake") this.#connection = SAYS_NOTHING;
      else if (type.startsWith("handshake:error")) this.#connection = REFUSED;
      else if (type === "disconnect" && this.#connection === SAYS_NOTHING) this.#connection = UNREACHABLE;
      else if (type === "connect:retry") {
        if (!isConnected) this.#connection = UNREACHABLE;
        isConnected = false;
      }
    }
  }
}

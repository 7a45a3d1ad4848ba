/**
 * The link: how one node tells another something. Every node has one publisher; every other node subscribes there to
 * the topic that is its own id and to the broadcast topic.
 *
 * What a link promises: envelopes from one node to another arrive in order or not at all, once; nobody who lacks the
 * cluster's link secret can read or inject one; a loss is noticed and told (`onLoss`); memory stays bounded.
 */
import type { Note } from "../session/note.ts";

export type Envelope =
  /** One session to the other side of its pair. */
  | { readonly kind: "note"; readonly to: string; readonly from: string; readonly note: Note }
  /**
   * The sender holds this session now: close your connection of it and send what you hold for it. `late`: it took so
   * long that the visitor may have come back to you since.
   */
  | { readonly kind: "takeover"; readonly session: string; readonly epoch: number; readonly late?: boolean }
  /**
   * Signals that a node held for an absent visitor, or that still came for one who has moved, in order, for the node that
   * took the session over from it with that epoch. None: that was all.
   */
  | {
      readonly kind: "held";
      readonly session: string;
      readonly epoch: number;
      readonly pair: string;
      readonly frames: readonly Uint8Array[];
    }
  /**
   * Signals that a session has said in the stay `said` and that could not be sent to the other side of its pair, for the
   * node that took the session over with that epoch.
   */
  | {
      readonly kind: "stranded";
      readonly session: string;
      readonly epoch: number;
      readonly said: number;
      readonly pair: string;
      readonly frames: readonly Uint8Array[];
    };

/** Where to find another node's publisher. */
export interface Peer {
  node: string;
  /** ZeroMQ endpoint, for example `tcp://10.0.0.2:7400` or `ipc:///run/…`. */
  endpoint: string;
  /** A shorter way for the other workers of its machine, `ipc://…`; see `placesOf`. */
  local?: string;
  /** CURVE public key, Z85. */
  publicKey: string;
}

export interface LinkEvents {
  onEnvelope(from: string, envelope: Envelope): void;
  /** `lost` messages from that node never arrived: the sessions paired there should restart ICE. */
  onLoss(from: string, lost: number): void;
  /** Whether that node and this one hear each other has changed. */
  onPeer(node: string, up: boolean): void;
  /** A node that holds the link secret and is no peer yet has begun to listen to us: time to look who there is. */
  onNewcomer?(node: string): void;
}

/**
 * `joining`: the two have not heard each other yet. `up`: they do. `lost`: they did. `foreign`: that node's public key
 * does not come from our link secret, so nothing is exchanged with it.
 */
export type PeerState = "joining" | "up" | "lost" | "foreign";

export interface PeerStatus {
  node: string;
  /** Where we connect to it. */
  endpoint: string;
  state: PeerState;
  /** Why it is not up, for people; empty when it is. Holds no address. */
  why: string;
}

/** Totals since the link was opened. */
export interface LinkCounts {
  /** Envelopes accepted by `send` and `broadcast`, and envelopes that arrived. */
  sent: number;
  received: number;
  /** What `send` and `broadcast` answered false to. */
  refused: number;
  /** Envelopes of others that never arrived here. */
  lost: number;
  /** Envelopes that arrived again, and were dropped. */
  repeated: number;
  /** Frames and envelopes that could not be read. */
  malformed: number;
  /** Connections to our publisher that were turned away: another link secret, or somebody who is no node at all. */
  turnedAway: number;
}

export const noCounts = (): LinkCounts => ({
  sent: 0,
  received: 0,
  refused: 0,
  lost: 0,
  repeated: 0,
  malformed: 0,
  turnedAway: 0,
});

export interface Link {
  /** This node as others find it. */
  readonly self: Peer;
  /**
   * Queues an envelope; what is sent in one turn of the event loop travels as one message. False, and nothing sent,
   * when that node is no peer that hears us or the queue is full.
   */
  send(node: string, envelope: Envelope): boolean;
  /**
   * The same to every peer that hears us, now. Loss is noticed as with `send`; what was sent and what was broadcast
   * may overtake each other.
   */
  broadcast(envelope: Envelope): boolean;
  /**
   * Says who there is now: connects to who is new, forgets who is gone. A peer that is missing from the list while
   * the link with it is up is forgotten only after a while: a registry that was lost is written anew meanwhile.
   */
  setPeers(peers: readonly Peer[]): void;
  /**
   * Whether every peer has confirmed that it hears us and we hear it; false before the first `setPeers`. Once a node
   * has been ready, only peers that it has heard before count against it, and only when they have been silent for
   * longer than a dead node stays in the registry: neither a newcomer that cannot be reached nor the death of one
   * node makes all the others say that they cannot serve.
   */
  isReady(): boolean;
  /** Why `isReady` is false, for people: the peers that do not hear us or that we do not hear. No addresses. */
  silentPeers(): string[];
  /** Every peer, for `status`. */
  peers(): PeerStatus[];
  readonly counts: Readonly<LinkCounts>;
  close(): Promise<void>;
}

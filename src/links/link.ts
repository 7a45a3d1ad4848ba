/**
 * The link: how one node tells another something. Every node has one publisher; every other node subscribes there to
 * the topic that is its own id and to the broadcast topic.
 *
 * What a link promises: envelopes from one node to another arrive in order or not at all, once; nobody who lacks the
 * cluster's link secret can read or inject one; a loss is noticed and told (`onLoss`); memory stays bounded.
 */
import type { Note } from "../session/session.ts";

export type Envelope =
  /** One session to the other side of its pair. */
  | { readonly kind: "note"; readonly to: string; readonly from: string; readonly note: Note }
  /** The sender holds this session now: close your connection of it and send what you hold for it. */
  | { readonly kind: "takeover"; readonly session: string; readonly epoch: number }
  /** Signals that a node held for an absent visitor, in order, for the node that has the session now. */
  | {
      readonly kind: "held";
      readonly session: string;
      readonly pair: string;
      readonly frames: readonly Uint8Array[];
    };

/** Where to find another node's publisher. */
export interface Peer {
  node: string;
  /** ZeroMQ endpoint, for example `tcp://10.0.0.2:7400` or `ipc:///run/…`. */
  endpoint: string;
  /** CURVE public key, Z85. */
  publicKey: string;
}

export interface LinkEvents {
  onEnvelope(from: string, envelope: Envelope): void;
  /** `lost` messages from that node never arrived: the sessions paired there should restart ICE. */
  onLoss(from: string, lost: number): void;
  /** Whether that node and this one hear each other has changed. */
  onPeer(node: string, up: boolean): void;
}

export interface Link {
  /** This node as others find it. */
  readonly self: Peer;
  /**
   * Queues an envelope; what is sent in one turn of the event loop travels as one message. False, and nothing sent,
   * when that node is no peer that hears us or the queue is full.
   */
  send(node: string, envelope: Envelope): boolean;
  /** Says who there is now: connects to who is new, forgets who is gone. */
  setPeers(peers: readonly Peer[]): void;
  /** Whether every peer has confirmed that it hears us and we hear it. */
  isReady(): boolean;
  /** The peers that do not hear us or that we do not hear, for people. */
  silentPeers(): string[];
  close(): Promise<void>;
}

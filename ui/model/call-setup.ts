/** What a call is made of, how it begins, and what it tells. */
import type { Mode, Role } from "../../src/protocol/messages.ts";
import type { CallSignal } from "./call-signal.ts";
import type { Clock } from "./clock.ts";
import type { Peer } from "./peer.ts";
import type { Way } from "./way.ts";

/**
 * Why there is no connection, as far as this side can tell: the browser makes none, the stranger's page has never said
 * a word, or nothing that it said led to it.
 */
export type Obstacle = "browser" | "stranger" | "network";

export type CallState = "new" | "connecting" | "connected" | "interrupted" | "failed" | "closed";

/** Nothing of these is told after `close`. */
export interface CallEvents {
  state(state: CallState): void;
  /** The stranger's sound and picture; null when the connection that brought them is gone. */
  stream(stream: MediaStream | null): void;
  /** The chat's channel of the newest connection, open or about to open. */
  channel(channel: RTCDataChannel): void;
  signal(signal: CallSignal): void;
  /** The way that the connection takes; told again and again while there is one. */
  way(way: Way): void;
}

export interface CallSetup {
  pair: string;
  mode: Mode;
  role: Role;
  /** Whether it may go by relays alone, from its beginning to its end. */
  relayOnly: boolean;
  /** Of the call that a reloaded page had: ours goes on after it. */
  generation?: number;
  newPeer(mode: Mode, role: Role, relayOnly: boolean): Peer;
  clock: Clock;
  events: CallEvents;
}

/** How a call begins. `offerUsed` without its peer happens when a page changed its mind while the match was made. */
export type Beginning =
  | { kind: "matched"; spare: Peer | null; offerUsed: boolean; offer?: string }
  | { kind: "resumed" };

/**
 * The heartbeat of a call's current connection: beats over it, hears the stranger's, and tells when nothing comes
 * through. With a beat goes what else is asked for now and then: a whole picture from the stranger, since the next one
 * cannot be told from what was lost, and from the browser which way the connection takes.
 */
import { Bucket } from "./bucket.ts";
import type { Clock } from "./clock.ts";
import type { Peer } from "./peer.ts";
import { Pulse } from "./pulse.ts";
import type { Way } from "./way.ts";

/** So often it is looked which way the connection takes: browsers find better ones as they go, and tell nobody. */
const WAY_BEATS = 8;
/** Browsers ask for a whole picture too, but only every three seconds, and all they asked so far was lost. */
const PICTURES_ASKED = 3;

export interface HeartbeatEvents {
  heard(): void;
  /** Nothing comes through. `again`: nor has anything since this was told last. */
  silent(again: boolean): void;
  way(way: Way): void;
}

export class Heartbeat {
  readonly #events: HeartbeatEvents;
  readonly #pulse: Pulse;
  /** Whole pictures cost work, so a stranger gets a bounded number of them. */
  readonly #favours: Bucket;
  #peer: Peer | null = null;
  #picturesToAsk = 0;
  /** Whether silence is worth a word: not while the connection is mended already. */
  #heeded = false;
  /** Whether the current silence was told. */
  #told = false;

  constructor(clock: Clock, events: HeartbeatEvents) {
    this.#events = events;
    this.#pulse = new Pulse(clock);
    this.#favours = new Bucket(clock, 6, 0.2);
  }

  /** Whether the connection is up and carries something. */
  get alive(): boolean {
    return this.#peer?.state === "connected" && this.#pulse.alive;
  }

  /** Hears over this connection from now on. */
  attach(peer: Peer): void {
    this.#peer = peer;
  }

  /** The connection is gone, with all that was heard over it. */
  detach(): void {
    this.#peer = null;
    this.#pulse.reset();
  }

  /** The connection is up: beats, and heeds silence. `missed`: some of the stranger's picture was lost meanwhile. */
  start(missed: boolean): void {
    if (missed) this.#picturesToAsk = PICTURES_ASKED;
    this.#heeded = true;
    this.#pulse.start((count) => this.#beat(count));
  }

  /** The connection is being mended: beats on, and heeds no silence until it is up again. */
  mend(): void {
    this.#heeded = false;
  }

  /** The stranger's beat has come. `asked`: they need a whole picture. */
  hear(asked: boolean): void {
    if (asked && this.#favours.take()) this.#peer?.sendWholePicture();
    this.#pulse.heard();
    this.#told = false;
    this.#events.heard();
  }

  #beat(count: number): void {
    this.#peer?.beat(this.#picturesToAsk > 0);
    if (this.#picturesToAsk > 0) this.#picturesToAsk -= 1;
    if (!this.#heeded) return;
    if (!this.#pulse.alive) return this.#tellSilence();
    // After an ICE restart browsers stay with the old way for seconds, so nothing is concluded early.
    if (this.#pulse.late && !this.#told) void this.#listenCloser();
    if (count % WAY_BEATS === 0) void this.#tellWay();
  }

  #tellSilence(): void {
    const again = this.#told;
    this.#told = true;
    this.#events.silent(again);
  }

  async #listenCloser(): Promise<void> {
    const peer = this.#peer;
    const bytes = await peer?.received().catch(() => null);
    if (typeof bytes !== "number" || this.#peer !== peer) return;
    this.#pulse.received(bytes);
    if (this.#heeded && !this.#told && !this.#pulse.alive) this.#tellSilence();
  }

  async #tellWay(): Promise<void> {
    const peer = this.#peer;
    const way = await peer?.way().catch(() => null);
    if (way && this.#peer === peer) this.#events.way(way);
  }
}

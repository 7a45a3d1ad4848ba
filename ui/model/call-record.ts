/** What a call was like, for the numbers of whoever runs the place: what became of it, by which way, how fast. */
import type { CallCause, EndReason, Mode, Quality } from "../../src/protocol/messages.ts";
import type { CallState, Obstacle } from "./call-setup.ts";
import type { Clock } from "./clock.ts";
import type { MediaState } from "./state.ts";
import type { Way } from "./way.ts";

/** What the node said of its end; `stopped` when this visitor ended it. */
export type EndOfCall = EndReason | "stopped";

/** The call as it was at its end. */
export interface Last {
  state: CallState;
  obstacle: Obstacle;
  /** Whether the first connection should have been there. */
  overdue: boolean;
  mode: Mode;
}

export class CallRecord {
  readonly #pair: string;
  readonly #clock: Clock;
  readonly #matchedAt: number | null;
  #connected = false;
  #interrupted = false;
  #firstWay: Way | null = null;
  #way: Way | null = null;
  #firstFrame: number | null = null;

  /** Begins with the match, or in the middle of a call that another page began: then nobody knows since when. */
  constructor(clock: Clock, pair: string, begun: "matched" | "resumed") {
    this.#clock = clock;
    this.#pair = pair;
    this.#matchedAt = begun === "matched" ? clock.now() : null;
  }

  /** Whether there was a connection at any time. */
  get connected(): boolean {
    return this.#connected;
  }

  state(state: CallState): void {
    if (state === "connected") this.#connected = true;
    if (state === "interrupted") this.#interrupted = true;
  }

  way(way: Way): void {
    this.#firstWay ??= way;
    this.#way = way;
  }

  /** The stranger's picture is there. */
  picture(): void {
    if (this.#matchedAt !== null) this.#firstFrame ??= this.#clock.now() - this.#matchedAt;
  }

  /** `reachable`: whether the node was in reach. */
  quality(why: EndOfCall, last: Last, reachable: boolean, media: MediaState): Quality {
    const cause =
      last.state === "connected" ? mediaCause(last.mode, media) : whyWithout(why, last, reachable);
    const gone = cause === "left" || cause === "stranger_left";
    const quality: Quality = {
      type: "quality",
      pair: this.#pair,
      outcome: this.#connected ? "connected" : gone ? "abandoned" : "failed",
    };
    if (cause && !(gone && this.#connected)) quality.cause = cause;
    if (this.#way) quality.way = this.#way;
    if (this.#firstFrame !== null) quality.firstFrame = Math.round(this.#firstFrame);
    if (this.#interrupted) quality.interrupted = true;
    if (this.#interrupted && this.#moved) quality.moved = true;
    return quality;
  }

  get #moved(): boolean {
    const [first, last] = [this.#firstWay, this.#way];
    if (!first || !last) return false;
    return first.local !== last.local || first.remote !== last.remote || first.transport !== last.transport;
  }
}

/** Why there was no connection in the end. */
function whyWithout(why: EndOfCall, { state, obstacle, overdue }: Last, reachable: boolean): CallCause {
  if (!reachable) return "server_gone";
  if (why === "lost" || why === "removed") return "stranger_gone";
  if (state === "failed" || overdue) {
    if (obstacle === "network") return "no_way_through";
    return obstacle === "browser" ? "browser_refused" : "stranger_gone";
  }
  return why === "stopped" ? "left" : "stranger_left";
}

/** What a call that was there lacked all the same. */
function mediaCause(mode: Mode, media: MediaState): CallCause | undefined {
  if (mode === "text") return undefined;
  const causes: Partial<Record<MediaState, CallCause>> = {
    denied: "media_denied",
    missing: "media_missing",
    busy: "media_busy",
  };
  return causes[media];
}

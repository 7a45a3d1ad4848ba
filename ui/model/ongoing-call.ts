/** The call that goes on, if there is one, with the record of it; and the pair that was before. */
import { REPORT_AFTER_END_MS } from "../../src/protocol/limits.ts";
import type { Quality, Signal } from "../../src/protocol/messages.ts";
import { Call } from "./call.ts";
import { CallRecord, type EndOfCall } from "./call-record.ts";
import type { Beginning, CallSetup, CallState } from "./call-setup.ts";
import type { Clock } from "./clock.ts";
import type { CallTrouble, MediaState } from "./state.ts";
import { troubleOf } from "./trouble.ts";

export interface OngoingCallParts {
  readonly clock: Clock;
  readonly newPeer: CallSetup["newPeer"];
  /** Whether the node is in reach. */
  reachable(): boolean;
  media(): MediaState;
  onState(state: CallState): void;
  onStream(stream: MediaStream | null): void;
  onChannel(channel: RTCDataChannel): void;
  send(message: Signal | Quality): void;
}

export interface NewCall extends Pick<CallSetup, "pair" | "mode" | "role" | "relayOnly" | "generation"> {
  readonly beginning: Beginning;
}

export class OngoingCall {
  readonly #parts: OngoingCallParts;
  #call: Call | null = null;
  #record: CallRecord | null = null;
  /** The last pair that is over for this page, and since when: what the node says of it is late. */
  #last: { pair: string; at: number } | null = null;

  constructor(parts: OngoingCallParts) {
    this.#parts = parts;
  }

  get call(): Call | null {
    return this.#call;
  }

  get pair(): string | undefined {
    return this.#call?.pair;
  }

  get lastPair(): string | undefined {
    return this.#last?.pair;
  }

  /** The pair that may be reported: this one, or the last one for some time after its end. */
  get reportable(): string | undefined {
    const since = this.#parts.clock.now() - (this.#last?.at ?? -Infinity);
    return this.pair ?? (since < REPORT_AFTER_END_MS ? this.lastPair : undefined);
  }

  /** What is wrong with it in that state. */
  troubleIn(state: "interrupted" | "failed"): CallTrouble | null {
    const [call, record] = [this.#call, this.#record];
    return call && record ? troubleOf(state, call.obstacle, record.connected) : null;
  }

  begin({ beginning, ...call }: NewCall): void {
    const { clock, newPeer, onState, onStream, onChannel, send } = this.#parts;
    const record = new CallRecord(clock, call.pair, beginning.kind);
    const relay = call.relayOnly || undefined;
    const begun = new Call({
      ...call,
      newPeer,
      clock,
      events: {
        state: (state) => {
          record.state(state);
          if (this.#call === begun) onState(state);
        },
        stream: onStream,
        channel: onChannel,
        signal: (data) => send({ type: "signal", pair: call.pair, data: { ...data }, relay }),
        way: (way) => record.way(way),
      },
    });
    this.#call = begun;
    this.#record = record;
    begun.begin(beginning);
  }

  /** The stranger's picture is there. */
  picture(): void {
    this.#record?.picture();
  }

  /** What is told of a call that had a connection when the page goes. */
  lastWord(): Quality | undefined {
    return this.#record?.connected ? this.#quality("stopped") : undefined;
  }

  /** There is none from now on; what it answers ends it, right away or after something that is in more of a hurry. */
  detach(why: EndOfCall): (() => void) | undefined {
    const [call, quality] = [this.#call, this.#quality(why)];
    if (!call || !quality) return undefined;
    this.#last = { pair: call.pair, at: this.#parts.clock.now() };
    this.#call = this.#record = null;
    return () => {
      this.#parts.send(quality);
      call.close();
    };
  }

  #quality(why: EndOfCall): Quality | undefined {
    const { reachable, media } = this.#parts;
    return this.#call ? this.#record?.quality(why, this.#call, reachable(), media()) : undefined;
  }
}

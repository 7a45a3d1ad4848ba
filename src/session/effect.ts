import type { CloseCode } from "../protocol/close-codes.ts";
import type { Quality, Relaxation, ReportReason, ServerMessage } from "../protocol/messages.ts";
import type { Call } from "./call.ts";
import type { Partner } from "./match.ts";
import type { Note } from "./note.ts";

export type TimerName = "grace" | "confirm" | "retry" | "store" | "takeover" | "alone";

/** What the node has to do about a step. */
export type Effect =
  | { readonly do: "welcome"; readonly resumed: boolean }
  | { readonly do: "send"; readonly message: ServerMessage }
  /** A `waiting` message; the node knows the numbers that go with it. */
  | { readonly do: "waiting"; readonly since: number; readonly relaxed: readonly Relaxation[] }
  /** A preference of a ticket gave way (M6, M4), for the first time. */
  | { readonly do: "gaveWay"; readonly what: Relaxation }
  /** Bytes that are a message already. */
  | { readonly do: "relay"; readonly raw: Uint8Array }
  | { readonly do: "tell"; readonly partner: Partner; readonly note: Note }
  | { readonly do: "call"; readonly call: Call }
  | { readonly do: "timer"; readonly timer: TimerName; readonly after: number }
  | { readonly do: "cancel"; readonly timer: TimerName }
  | { readonly do: "close"; readonly code: CloseCode }
  | {
      readonly do: "report";
      readonly pair: string;
      readonly reason: ReportReason;
      readonly details?: string;
      readonly partnerDevice: string;
    }
  | { readonly do: "quality"; readonly quality: Quality }
  | { readonly do: "count"; readonly what: "undone" | "heldDropped" }
  /** The session is over; the node forgets it. */
  | { readonly do: "forget" };

import type { EndReason } from "../protocol/messages.ts";
import type { Match } from "./match.ts";

export interface Signal {
  readonly type: "signal";
  readonly pair: string;
  readonly raw: Uint8Array;
  /** The stay of the other side that it was sent to; none before it is sent. */
  readonly epoch?: number;
}

/** What one session tells the other side of its pair, on whatever node that is. */
export type Note =
  /**
   * You are matched, and I am here since `epoch`; all as the receiver sees it. Said by a claim, and after a move to
   * another node.
   */
  | ({ readonly type: "matched"; readonly offer?: string; readonly epoch: number } & Omit<Match, "partner">)
  | { readonly type: "confirmed"; readonly pair: string }
  /** This match is not to be: take it back. */
  | { readonly type: "refused"; readonly pair: string }
  | { readonly type: "ended"; readonly pair: string; readonly reason: EndReason }
  /** To where the other side was at `epoch`: everything after this is said where it lives now. For its node. */
  | { readonly type: "last"; readonly pair: string; readonly epoch: number }
  | Signal;

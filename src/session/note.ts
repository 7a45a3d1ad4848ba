import type { EndReason } from "../protocol/messages.ts";
import type { Match } from "./match.ts";

export interface Signal {
  readonly type: "signal";
  readonly pair: string;
  readonly raw: Uint8Array;
}

/** What one session tells the other side of its pair, on whatever node that is. */
export type Note =
  /** You are matched, and I am here; all as the receiver sees it. Said by a claim, and after a move to another node. */
  | ({ readonly type: "matched"; readonly offer?: string } & Omit<Match, "partner">)
  | { readonly type: "confirmed"; readonly pair: string }
  /** This match is not to be: take it back. */
  | { readonly type: "refused"; readonly pair: string }
  | { readonly type: "ended"; readonly pair: string; readonly reason: EndReason }
  /** To where the other side was: it lives elsewhere now, where everything after this is said. For its node. */
  | { readonly type: "last"; readonly pair: string }
  | Signal;

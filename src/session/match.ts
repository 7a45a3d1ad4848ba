/** The vocabulary that a session and the matcher share. */
import type { Common, Mode, Relaxation, Role } from "../protocol/messages.ts";

/** What a visitor asks for, normalised: folded, trimmed, NFC, without duplicates. */
export interface Wish {
  mode: Mode;
  /** At most 10. */
  interests: readonly string[];
  /** Primary language subtags, at most 5. */
  languages: readonly string[];
  /** Whether the ticket insists on its preferences for ever, instead of for its first seconds. */
  strict: boolean;
}

/** The other side of a pair: where to reach it. Never leaves the server. */
export interface Partner {
  session: string;
  node: string;
}

/** Where a session is: each move raises its epoch, by which the newest word of it is told from what comes late. */
export interface Stay {
  node: string;
  epoch: number;
}

export interface Match {
  /** At least 128 random bits. */
  pair: string;
  mode: Mode;
  role: Role;
  partner: Partner & Stay;
  common: Common;
}

/** The match as its other side sees it, without where that side finds us. */
export const asTheySee = ({ partner: _us, ...match }: Match): Omit<Match, "partner"> => ({
  ...match,
  role: match.role === "offerer" ? "answerer" : "offerer",
});

/** A pair that a call ended; its other side has not been told yet. */
export interface Left {
  pair: string;
  partner: Partner;
}

/** Why tickets that shared a list with the asking one were not taken, as counts. */
export interface PassedOver {
  device: number;
  blocked: number;
  recent: number;
  /** Tickets of a dead node, dropped on the way. */
  gone: number;
  /** Tickets of a node that the asking one cannot reach now. */
  unreachable: number;
}

export type Outcome =
  /**
   * This call claimed a partner. The partner's node has to be told, or the match undone. `waited` is in ms; `relaxed` is
   * what had given way for the one who asked, "recent" when they meet again.
   */
  | {
      kind: "matched";
      match: Match;
      waited: number;
      partnerWaited: number;
      relaxed: Relaxation[];
      left?: Left;
      passed: PassedOver;
    }
  /** The ticket is filed. Ask again (`find` with the same wish) after `retryIn` ms: something gives way then. */
  | {
      kind: "waiting";
      since: number;
      relaxed: Relaxation[];
      retryIn: number;
      left?: Left;
      passed: PassedOver;
    }
  /** Somebody else has claimed this session before the call, and its node has yet to hear of it. Nothing was done. */
  | { kind: "claimed"; match: Match }
  /** The session has no place yet, and its device has as many as it may have. Nothing was done. */
  | { kind: "crowded" }
  /** Another node holds the session now. Nothing was done. */
  | { kind: "superseded" }
  /** This node's lease has run out. Nothing was done; renew the lease, then ask again. */
  | { kind: "fenced" };

export interface Find {
  wish: Wish;
  /** The pair the visitor is in and wants to leave (Next), as far as its node knows. */
  leaving?: string;
  /**
   * When the ticket began to wait, if it waits already. The store's own record goes first; this brings the ticket
   * back to its place when the store has lost it. Later than now counts as now.
   */
  since?: number;
}

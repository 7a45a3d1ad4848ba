/**
 * The matcher: who waits, who is paired with whom, and who must not meet. It is the arbiter of rules M1–M8: every
 * method is one atomic step for the whole cluster, and no two of them can leave a session in two pairs.
 *
 * `redis-matcher.ts` is the one that runs; `model.ts` is the readable specification that the tests hold it against.
 * Methods reject only when the store cannot be reached (nothing is known then of what was done; every method may be
 * called again). All times are milliseconds by the store's own clock, so the clocks of nodes need not agree.
 */
import type { Mode } from "../protocol/messages.ts";
import type { Find, Left, Match, Outcome, Partner, Stay, Wish } from "../session/match.ts";

/** A session as a node holds it. The epoch counts takeovers: an older holder's calls answer `superseded`. */
export interface Holder {
  session: string;
  node: string;
  epoch: number;
  /** Hash of the page's device token, or the session id when the page gave none. What recents and blocks go by. */
  device: string;
}

export type { Find, Left, Match, Outcome, Partner, PassedOver, Wish } from "../session/match.ts";

export type Resumed =
  | { state: "idle" }
  | { state: "waiting"; wish: Wish; since: number }
  | { state: "paired"; match: Match };

/**
 * `held`: the store has the session as given. `over`: it has the session, but that pair is over. `alone`: as given, but
 * of the pair's other side it knows nothing, or nothing yet. `superseded`: another node holds the session now.
 */
export type Restored = "held" | "over" | "alone" | "superseded";

/** A session found by `reap` whose node is dead. `partner` is where the pair's other side lives. */
export interface Orphan {
  pair: string;
  partner: Partner;
  /** False at first: the session may still resume. True once its grace is over and the pair was ended. */
  ended: boolean;
}

export interface Counts {
  /** Sessions with a connection. */
  online: number;
  /** Those of them that wait. */
  waiting: number;
}

export interface Census {
  waiting: Record<Mode, number>;
  /** Most wished first, at most `top`. */
  interests: { interest: string; waiting: number }[];
  nodes: NodeLoad[];
}

/** A node that has a lease, or that had one and still has sessions. Its numbers are those of its last `renew`. */
export interface NodeLoad extends Counts {
  node: string;
  /** For how many ms it still holds its lease; 0 or less when that ran out. */
  lease: number;
}

export interface Matcher {
  /** Records a fresh session. */
  open(holder: Holder): Promise<void>;

  /**
   * Takes a session over to `node`, whatever node held it. Its epoch rises, unless `node` holds it already: who finds
   * the epoch that it knows knows that nobody else held the session meanwhile. Null when there is no such session.
   * A waiting ticket stays out of reach until the next `find` files it again at its place.
   * @param here only if `node` holds it already: for who may have taken it over and wants it from nobody any more
   */
  resume(
    session: string,
    node: string,
    here?: boolean,
  ): Promise<{ holder: Holder; previousNode: string; resumed: Resumed } | null>;

  /**
   * Tells the store again what a node holds, when the store may have lost it (Redis came back empty) or given it up
   * (`renew` says another `heldSince`): a session, and the pair it is in. What the store knows goes first. A waiting
   * session needs no more than its next `find`. Without `match`, `over` says that it waits or is in a pair, as
   * far as the store knows. `there` is where the pair's other side lives now, when it is `held`.
   */
  restore(holder: Holder, match?: Match): Promise<{ restored: Restored; there?: Stay }>;

  /**
   * Asks for a partner; changes the wish of a waiting ticket, which keeps its place (M5, M6); leaves a pair and asks
   * in one step (Next). Calling it again with the same wish is how relaxation takes effect. A session that the store
   * has lost is recorded anew.
   * @param avoid nodes that the caller's cannot reach now. Their tickets are passed over, and asked for again soon.
   */
  find(holder: Holder, find: Find, avoid?: readonly string[]): Promise<Outcome>;

  /**
   * Undoes a match whose other side could not be reached (M2): as `find`, with the ticket back at its original place,
   * and without the two counting as recent partners; `left` is the other side, where it lives by then. Does nothing but
   * `find` when the pair is over already.
   */
  undo(holder: Holder, pair: string, find: Find, avoid?: readonly string[]): Promise<Outcome>;

  /** The connection is lost: the ticket leaves the pool but keeps its place for a `find` within the grace. */
  absent(holder: Holder): Promise<void>;

  /** Stops waiting, or ends the pair, whichever it is now. Undefined when there was nothing to tell anybody. */
  leave(holder: Holder): Promise<Left | "superseded" | undefined>;

  /**
   * These two never again, for the configured time, by device. `pair` is the current pair, which ends, or the last
   * one up to 5 min after its end. Null when it is neither.
   */
  block(holder: Holder, pair: string): Promise<{ left?: Left; partnerDevice: string } | "superseded" | null>;

  /** The session is over: its ticket, pair and record go. */
  end(holder: Holder): Promise<Left | "superseded" | undefined>;

  /**
   * Renews the lease of `node` (5 s) and says how many visitors there are. `dead` names nodes whose lease ran out and
   * that still have sessions: somebody has to `reap` them. `heldSince` is when the node took its lease: another time
   * than before says that the lease had run out, or that the store has lost it, also when that answer was lost.
   */
  renew(
    node: string,
    counts: Counts,
  ): Promise<{ total: Counts; nodes: string[]; dead: string[]; heldSince: number }>;

  /** Gives the lease up at once, as a node does that drains. Its sessions may resume elsewhere for the grace. */
  retire(node: string): Promise<void>;

  /**
   * Takes a dead node's tickets out of the pool and, once their grace is over, ends its sessions; a bounded number a
   * call, and `more` while there is more to do now. Several nodes may do it at the same time.
   */
  reap(node: string): Promise<{ orphans: Orphan[]; more: boolean }>;

  /** The pool and the nodes in numbers, for `status`. */
  census(top: number): Promise<Census>;
}

/** Times of the rules, in ms; the operator's (`matching.*`, `session.grace`). */
export interface Rules {
  /** M6 */
  interestsAfter: number;
  /** M6 */
  languagesAfter: number;
  /** M4 */
  recentAfter: number;
  /** M4: how long a partner counts as recent */
  recentFor: number;
  /** M4: how many partners are remembered */
  recentMost: number;
  blockFor: number;
  /** S2 */
  grace: number;
  /** How long a node counts as alive after its last `renew`. */
  lease: number;
}

/**
 * Looking for a partner: one `find` with what the visitor prefers and an offer made ahead, repeated when the node asks
 * for patience, until the node answers by `waiting` or `matched`.
 */
import { MAX_OFFER_BYTES } from "../../src/protocol/limits.ts";
import type { ErrorCode, ErrorMessage, Find, Mode } from "../../src/protocol/messages.ts";
import type { Clock } from "./clock.ts";
import type { Spare } from "./spare.ts";
import type { Halt, Preferences } from "./state.ts";

export interface SearchSetup {
  clock: Clock;
  random(): number;
  spare: Spare;
  preferences(): Preferences;
  /** Whether it can be sent now; if not, the next `welcome` begins the search again. */
  canSend(): boolean;
  /** Whether the visitor's address is hidden. */
  relayOnly(): boolean;
  send(find: Find): void;
}

/** A `find` waits this long for its offer; without one the match takes a round trip more. */
export const OFFER_MS = 300;
const LEAST_RETRY_S = 0.5;
/** A node whose store is away keeps a `find` and answers it later, unless it says that it was dropped. */
const KEPT_S = 10;
const MOST_RETRY_S = 60;
/** Refusals that may be over by and by. */
const HALTS: Partial<Record<ErrorCode, Halt>> = {
  rate_limited: "tooFast",
  unavailable: "storeAway",
  too_many_sessions: "tooManyWindows",
};

export class Search {
  readonly #setup: SearchSetup;
  #unanswered: Find | null = null;
  /** Whether the node has said that the visitor waits. */
  #waits = false;
  #stopRetry = () => {};
  /** Counts beginnings and ends, so that what waits for an offer knows whether it is still wanted. */
  #turn = 0;

  constructor(setup: SearchSetup) {
    this.#setup = setup;
  }

  /**
   * Asks for a partner, at once when the offer is there. `again` when the node has said that the visitor waits: should
   * it match us in this very moment, we have not pressed Next.
   */
  begin(mode: Mode, again = false): void {
    this.end();
    this.#waits = again;
    const turn = this.#turn;
    const { clock, spare } = this.#setup;
    if (spare.offer(mode) !== null) return this.#find(mode, again);
    let gone = false;
    const go = () => {
      stop();
      if (!gone && turn === this.#turn) this.#find(mode, again);
      gone = true;
    };
    const stop = clock.after(OFFER_MS, go);
    void spare.prepare(mode).then(go);
  }

  /** Asks for what the visitor prefers by now. */
  change(mode: Mode): void {
    this.begin(mode, this.#waits);
  }

  /** The node has answered that the visitor waits. */
  waits(): void {
    this.end();
    this.#waits = true;
  }

  /** Somebody was found, or nobody looks any more. */
  end(): void {
    this.#turn += 1;
    this.#waits = false;
    this.#unanswered = null;
    this.#stopRetry();
  }

  /** The node refused something; when it was the `find`, this finds a way. Says why the search halts meanwhile. */
  refused({ code, retryAfter }: ErrorMessage): Halt | null {
    const find = this.#unanswered;
    if (!find) return null;
    const { clock, random, send } = this.#setup;
    const halt = HALTS[code];
    if (halt) {
      const least = code === "unavailable" ? KEPT_S : LEAST_RETRY_S;
      const seconds = Math.min(MOST_RETRY_S, Math.max(least, retryAfter ?? 0)) * (1 + random() / 4);
      this.#stopRetry();
      this.#stopRetry = clock.after(seconds * 1000, () => this.begin(find.mode, find.again));
      return halt;
    }
    if (code === "invalid_message" && !isPlain(find)) {
      // The node would refuse the same again: anybody at all is better than nobody for ever.
      this.#unanswered = { type: "find", mode: find.mode, again: find.again, relay: find.relay };
      send(this.#unanswered);
    }
    return null;
  }

  #find(mode: Mode, again: boolean): void {
    const { spare, preferences, canSend, relayOnly, send } = this.#setup;
    if (!canSend()) return;
    const { interests, languages, strict } = preferences();
    const find: Find = { type: "find", mode };
    if (interests.length > 0) find.interests = interests;
    if (languages.length > 0) find.languages = languages;
    if (strict && (find.interests || find.languages)) find.strict = true;
    if (again) find.again = true;
    if (relayOnly()) find.relay = true;
    const offer = spare.offer(mode);
    // Session descriptions are ASCII, so characters are bytes.
    if (offer !== null && offer.length <= MAX_OFFER_BYTES) find.offer = offer;
    this.#unanswered = find;
    if (find.offer) spare.sent();
    send(find);
  }
}

const isPlain = (find: Find): boolean =>
  Object.keys(find).every((field) => ["type", "mode", "again", "relay"].includes(field));

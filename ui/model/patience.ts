/** How long calls wait for what, in milliseconds. */
export const ATTEMPT_MS = 8_000;
/** The offerer acts first, so that both do not act on the same trouble. */
export const ANSWERER_PATIENCE_MS = 2_000;
/** Most interruptions heal by themselves within this time. */
export const DISCONNECTED_MS = 1_500;
/** The stranger may just have left, which the node tells in a moment. */
export const FAILED_MS = 300;
/** Requests of the answerer are not granted more often. */
export const REBUILD_MS = 2_000;
/** What an ICE restart takes at most, where it helps at all. */
export const RESTART_MS = 4_000;
/**
 * Usual connections are there in a second or two, and by now both sides have given the first attempt up: who leaves
 * sooner did not wait to see, who leaves later leaves a call that failed. Few stay until the page says so.
 */
export const OVERDUE_MS = 10_000;
/** Without a connection for so long it is fair to say that there is no way; and for so long, to try no more. */
export const FAILED_AFTER_MS = 25_000;
export const GIVE_UP_MS = 120_000;
/** The offer for Next is made when the call has settled, not while its first frames are decoded. */
export const SPARE_AFTER_MS = 1_000;

/** Sizes and times of the wire contract that are not for the operator to change. */
export const MAX_FRAME_BYTES = 64 * 1024;
export const MAX_SIGNAL_BYTES = 32 * 1024;
export const MAX_OFFER_BYTES = 32 * 1024;
export const MAX_INTERESTS = 10;
export const MAX_INTEREST_CHARACTERS = 32;
export const MAX_LANGUAGES = 5;
export const MAX_DETAILS_CHARACTERS = 500;
export const MAX_UNSENT_BYTES = 1024 * 1024;
export const MAX_HELD_SIGNALS = 64;
/** Of one session: several times what a call takes to be set up. Thousands of absent ones may be held at a time. */
export const MAX_HELD_BYTES = 256 * 1024;

export const HELLO_TIMEOUT_MS = 10_000;
export const HEARTBEAT_MS = 20_000;
export const STATUS_MS = 15_000;
export const CONFIRM_TIMEOUT_MS = 2_000;
/** Longer than any page waits for a picture. */
export const MAX_FIRST_FRAME_MS = 10 * 60_000;
export const REPORT_AFTER_END_MS = 5 * 60_000;

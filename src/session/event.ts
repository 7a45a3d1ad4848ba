import type { ClientMessage } from "../protocol/messages.ts";
import type { Answer } from "./call.ts";
import type { TimerName } from "./effect.ts";
import type { Partner, Wish } from "./match.ts";
import type { Note } from "./note.ts";

/** What happens to a session. */
export type Event =
  /** A parsed message; `raw` is the frame as it came. `wish` is the normalised wish of a `find`. */
  | {
      readonly type: "message";
      readonly message: ClientMessage;
      readonly raw: Uint8Array;
      readonly wish?: Wish;
    }
  /** `vouched`: the store has been asked, and says that this node holds the session. */
  | { readonly type: "attached"; readonly resumed: boolean; readonly vouched: boolean }
  | { readonly type: "detached" }
  | { readonly type: "note"; readonly from: Partner; readonly note: Note }
  | { readonly type: "answer"; readonly answer: Answer }
  /** The store could not be asked; the call is still to be done. */
  | { readonly type: "unanswered" }
  | { readonly type: "due"; readonly timer: TimerName }
  /** What the store knows of this session may be something else or nothing. */
  | { readonly type: "forgotten" }
  /** Another node holds this session now. `late`: for a connection that may be older than ours. */
  | { readonly type: "superseded"; readonly late: boolean };

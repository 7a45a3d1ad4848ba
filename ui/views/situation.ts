import type { Store } from "../model/state.ts";
import type { Situation } from "./status.ts";

/** Reads the store's signals, so the view that calls it follows them. */
export function situation(store: Store): Situation {
  return {
    phase: store.phase.value,
    mode: store.mode.value,
    server: store.server.value,
    media: store.media.value,
    online: store.online.value,
    othersLooking: store.othersLooking.value,
    otherTab: store.otherTab.value,
    mayMeetAgain: store.mayMeetAgain.value,
    ended: store.ended.value,
    relaxed: store.relaxed.value,
    trouble: store.trouble.value,
    addressHidden: store.addressHidden.value,
    common: store.common.value,
    strangerCameraOn: store.strangerCameraOn.value,
  };
}

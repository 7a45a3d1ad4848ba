/** The signals that the store itself writes, as they are when the page has just been opened. */
import { signal } from "@preact/signals";
import type { Common, EndReason, Mode, Relaxation } from "../../src/protocol/messages.ts";
import type { CallTrouble, Phase, Preferences, ServerLink } from "./state.ts";

export const newlyShown = (place: string, preferences: Preferences, trouble: CallTrouble | null) => ({
  phase: signal<Phase>("home"),
  mode: signal<Mode>("video"),
  server: signal<ServerLink>({ state: "connecting" }),
  placeName: signal(place),
  mayMeetAgain: signal(false),
  relaxed: signal<Relaxation[]>([]),
  common: signal<Common | null>(null),
  ended: signal<EndReason | null>(null),
  trouble: signal(trouble),
  remoteStream: signal<MediaStream | null>(null),
  preferences: signal(preferences),
  reported: signal(false),
});

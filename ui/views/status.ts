import { words } from "../locales/en.ts";
import type { AddressHidden, CallTrouble, Failure, Halt } from "../model/state.ts";
import type { MediaState, Phase, ServerLink } from "../model/state.ts";
import type { Common, EndReason, Mode, Relaxation } from "../../src/protocol/messages.ts";

/** What the sentences below depend on. */
export interface Situation {
  phase: Phase;
  mode: Mode;
  server: ServerLink;
  media: MediaState;
  online: number | null;
  othersLooking: number | null;
  otherTab: boolean;
  mayMeetAgain: boolean;
  ended: EndReason | null;
  relaxed: readonly Relaxation[];
  trouble: CallTrouble | null;
  addressHidden: AddressHidden;
  common: Common | null;
  strangerCameraOn: boolean;
}

export interface Telling {
  title: string;
  lines: string[];
}

/** Where the visitor is and what happens next: shown large while there is no picture, and read to screen readers. */
export function tell(s: Situation): Telling {
  if (isFailure(s.trouble)) {
    const { title, lines } = words.trouble.failed[s.trouble];
    if (s.trouble !== "noWayThrough" || s.addressHidden === "no") return { title, lines };
    return { title, lines: words.trouble.failedHidden[s.addressHidden] };
  }
  switch (s.phase) {
    case "home":
      return { title: "", lines: [] };
    case "starting":
      return s.media === "asking"
        ? { title: words.asking.title, lines: [words.asking.lead] }
        : { title: words.stage.starting, lines: [] };
    case "waiting": {
      const away = tellServer(s.server, s.phase);
      if (away) return { title: words.stage.searchHalts, lines: [away] };
      if (isHalt(s.trouble)) return words.trouble.halted[s.trouble];
      // Who is alone is not told of those that might come into question.
      const alone = s.online !== null && s.online <= 1;
      const lines = alone ? [] : relaxedWords(s.relaxed);
      if (s.otherTab) lines.unshift(words.stage.otherTab);
      else if (alone) lines.push(words.stage.alone);
      else if (s.mayMeetAgain && s.othersLooking === 1 && !s.relaxed.includes("recent"))
        lines.push(words.stage.mayMeetAgain);
      if (s.ended) lines.unshift(words.ended[s.ended]);
      return { title: s.ended ? words.stage.lookingAgain : words.stage.looking, lines };
    }
    case "connecting":
      return {
        title: words.stage.connecting,
        lines: [...sharedWords(s.common), words.stage.connectingHint],
      };
    case "talking":
      if (s.trouble === "reconnecting") return { title: words.trouble.reconnecting, lines: [] };
      if (s.mode === "video" && !s.strangerCameraOn)
        return { title: words.stage.cameraOff, lines: [words.stage.cameraOffHint] };
      return { title: words.stage.talking, lines: sharedWords(s.common) };
  }
}

/** How many look beside who does; null while nobody knows, or it helps nobody. */
export function tellOthers(s: Situation): string | null {
  const { phase, server, trouble, online, othersLooking } = s;
  if (phase !== "waiting" || server.state !== "open" || trouble !== null) return null;
  // Who is alone is told so already.
  if (othersLooking === null || online === null || online <= 1) return null;
  return words.stage.lookingToo(othersLooking, s.mode);
}

/** Beyond which wishes the search has gone. */
function relaxedWords(relaxed: readonly Relaxation[]): string[] {
  const wishes = relaxed.filter((which) => which !== "recent");
  const beyond = wishes.length > 1 ? [words.relaxed.both] : wishes.map((which) => words.relaxed[which]);
  return relaxed.includes("recent") ? [...beyond, words.relaxed.recent] : beyond;
}

export function isFailure(trouble: CallTrouble | null): trouble is Failure {
  return trouble !== null && trouble in words.trouble.failed;
}

const isHalt = (trouble: CallTrouble | null): trouble is Halt =>
  trouble !== null && trouble in words.trouble.halted;

/** After so many attempts it may well be the visitor's own network. */
const MANY_ATTEMPTS = 4;

/** That the server is away, and what that means for a call; null when it is not. */
export function tellServer(link: ServerLink, phase: Phase): string | null {
  if (link.state !== "reconnecting" || link.attempt === 0) return null;
  if (phase === "talking") return words.server.callGoesOn;
  if (phase === "connecting") return words.server.callWaits;
  if (link.full) return words.server.full;
  return link.attempt < MANY_ATTEMPTS ? words.server.reconnecting : words.server.stillAway;
}

export interface AddressTelling {
  hint: string;
  /** Whether there is nothing to choose. */
  locked: boolean;
  /** Whether no call can come about. */
  lacking: boolean;
}

/** What it means that the address is hidden, or is not. `relayOffered` is null while nobody knows. */
export function tellAddress(hidden: AddressHidden, relayOffered: boolean | null): AddressTelling {
  const { byPlace, lackingByPlace, lacking, cannot, hint } = words.address;
  const none = relayOffered === false;
  if (hidden === "byPlace") return { hint: none ? lackingByPlace : byPlace, locked: true, lacking: none };
  if (hidden === "byVisitor") return { hint: none ? lacking : hint, locked: false, lacking: none };
  return { hint: none ? cannot : hint, locked: none, lacking: false };
}

/** What two people share, a sentence each; at most three interests are named. */
export function sharedWords(common: Common | null): string[] {
  const lines: string[] = [];
  if (common?.interests.length) lines.push(words.stage.common(common.interests.slice(0, 3)));
  if (common?.language) lines.push(words.stage.commonLanguage(languageName(common.language)));
  return lines;
}

/** A language's name in the words of this page, or the tag itself when there is none. */
export function languageName(tag: string): string {
  try {
    return new Intl.DisplayNames("en", { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag; // not a language tag: RangeError
  }
}

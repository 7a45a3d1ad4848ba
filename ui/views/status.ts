import { words } from "../locales/en.ts";
import type { CallTrouble, MediaState, Phase } from "../model/state.ts";
import type { Common, EndReason, Mode, Relaxation } from "../../src/protocol/messages.ts";

/** What the sentences below depend on. */
export interface Situation {
  phase: Phase;
  mode: Mode;
  media: MediaState;
  online: number | null;
  ended: EndReason | null;
  relaxed: readonly Relaxation[];
  trouble: CallTrouble | null;
  common: Common | null;
  strangerCameraOn: boolean;
}

export interface Telling {
  title: string;
  lines: string[];
}

/** Where the visitor is and what happens next: shown large while there is no picture, and read to screen readers. */
export function tell(s: Situation): Telling {
  if (s.trouble === "noWayThrough")
    return { title: words.trouble.noWayThrough, lines: [words.trouble.noWayThroughHint] };
  switch (s.phase) {
    case "home":
      return { title: "", lines: [] };
    case "starting":
      return s.media === "asking"
        ? { title: words.asking.title, lines: [words.asking.lead] }
        : { title: words.stage.starting, lines: [] };
    case "waiting": {
      const lines = s.relaxed.map((which) => words.relaxed[which]);
      if (s.online !== null && s.online <= 1) lines.push(words.stage.alone);
      if (s.ended) lines.unshift(words.ended[s.ended]);
      return { title: s.ended ? words.stage.lookingAgain : words.stage.looking, lines };
    }
    case "connecting":
      return { title: words.stage.connecting, lines: sharedWords(s.common) };
    case "talking":
      if (s.trouble === "reconnecting") return { title: words.trouble.reconnecting, lines: [] };
      if (s.mode === "video" && !s.strangerCameraOn)
        return { title: words.stage.cameraOff, lines: [words.stage.cameraOffHint] };
      return { title: words.stage.talking, lines: sharedWords(s.common) };
  }
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

import type { Phase } from "../model/state.ts";

/** What of a key press and of the page decides whether Escape means Next. */
export interface EscapePress {
  key: string;
  /** The key is held down: one press must not run through strangers. */
  repeat: boolean;
  /** An input method is composing; Escape then belongs to it. */
  isComposing: boolean;
  /** Somebody nearer to the key, such as a menu, has used it. */
  defaultPrevented: boolean;
  modified: boolean;
  /** The focus is in something one types in. */
  typing: boolean;
  /** A dialog or menu is open, or the page is full-screen: Escape closes that. */
  covered: boolean;
  phase: Phase;
}

/** `next` leaves for somebody else, `blur` only takes the focus out of the text box, so that Escape twice is Next. */
export function escapeMeans(press: EscapePress): "next" | "blur" | null {
  if (press.key !== "Escape" || press.repeat || press.isComposing || press.modified) return null;
  if (press.defaultPrevented || press.covered) return null;
  if (press.typing) return "blur";
  return press.phase === "talking" || press.phase === "connecting" ? "next" : null;
}

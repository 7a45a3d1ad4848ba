/** Width and height, in any unit as long as it is the same one. */
export interface Size {
  width: number;
  height: number;
}

/** How far past "all of it visible" a picture may grow to fill its window, before too much of a face is cut off. */
const MOST_GROWTH = 1.9;

/**
 * The size at which to draw a picture, centred in its window: it fills the window where the shapes are alike, and is
 * cut by no more than the growth allows where they are not (a wide picture on a tall phone).
 */
export function fit(picture: Size, window: Size): Size {
  if (!(picture.width > 0 && picture.height > 0)) return window;
  const across = window.width / picture.width;
  const down = window.height / picture.height;
  const scale = Math.min(Math.max(across, down), Math.min(across, down) * MOST_GROWTH);
  return { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) };
}

export type Corner = "top-left" | "top-right" | "bottom-left" | "bottom-right";

/** The corner of a window that a point, counted from its top left, is nearest to. */
export function nearestCorner(x: number, y: number, window: Size): Corner {
  return `${y < window.height / 2 ? "top" : "bottom"}-${x < window.width / 2 ? "left" : "right"}`;
}

const CLOCKWISE: Corner[] = ["top-right", "bottom-right", "bottom-left", "top-left"];

export function cornerAfter(corner: Corner): Corner {
  return CLOCKWISE[(CLOCKWISE.indexOf(corner) + 1) % CLOCKWISE.length]!;
}

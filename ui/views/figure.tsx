/**
 * The strangers of this page: somebody behind a window, drawn from a few shapes. A number chooses who it is, so that
 * one stranger keeps their looks for as long as they are there. Purely decoration.
 */
import type { JSX } from "preact";

const heads: (() => JSX.Element)[] = [
  // headphones
  () => (
    <>
      <path class="skin" d="M25 140V78a35 35 0 0 1 70 0v62z" />
      <path class="hair-line" d="M19 84V80a41 41 0 0 1 82 0v4" />
      <rect class="hair" x="11" y="74" width="16" height="30" rx="8" />
      <rect class="hair" x="93" y="74" width="16" height="30" rx="8" />
    </>
  ),
  // bun and fringe
  () => (
    <>
      <circle class="hair" cx="60" cy="30" r="15" />
      <path class="skin" d="M22 140V84a38 38 0 0 1 76 0v56z" />
      <path class="hair" d="M22 86a38 40 0 0 1 76 0c-17-1-27-8-33-19-7 12-22 19-43 19Z" />
    </>
  ),
  // glasses
  () => (
    <>
      <rect class="skin" x="23" y="40" width="74" height="110" rx="30" />
      <path class="hair" d="M23 72c0-24 14-36 40-36 22 0 34 12 34 32-10 0-18-6-22-14-10 12-28 18-52 18Z" />
    </>
  ),
  // woollen hat
  () => (
    <>
      <path class="skin" d="M24 140V86a36 36 0 0 1 72 0v54z" />
      <circle class="hair" cx="60" cy="29" r="10" />
      <path class="hair" d="M24 74a36 38 0 0 1 72 0Z" />
      <rect class="hair brim" x="18" y="62" width="84" height="16" rx="8" />
    </>
  ),
  // curls
  () => (
    <>
      {[
        [27, 76, 17],
        [34, 54, 17],
        [52, 41, 17],
        [72, 42, 17],
        [88, 55, 17],
        [94, 77, 16],
      ].map(([x, y, r]) => (
        <circle key={x} class="hair" cx={x} cy={y} r={r} />
      ))}
      <path class="skin" d="M27 140V88a33 33 0 0 1 66 0v52z" />
    </>
  ),
  // three hairs
  () => (
    <>
      <path class="hair-line thin" d="M60 48c-3-9 4-14 1-23M52 50c-4-8-9-9-11-16M68 50c3-8 9-8 12-14" />
      <path class="skin" d="M31 140V75a29 29 0 0 1 58 0v65z" />
    </>
  ),
  // long hair
  () => (
    <>
      <path class="hair" d="M17 140V82a43 44 0 0 1 86 0v58z" />
      <path class="skin" d="M31 140V92c18-1 34-8 42-20 3 8 8 14 16 17v51z" />
    </>
  ),
  // bowler
  () => (
    <>
      <path class="skin" d="M25 140V86a35 35 0 0 1 70 0v54z" />
      <path class="hair" d="M32 64V52a28 26 0 0 1 56 0v12z" />
      <rect class="hair" x="14" y="58" width="92" height="12" rx="6" />
    </>
  ),
];

const GLASSES = 2;
const SMILES = [true, true, false, true, true, false, true, false];

export const TONES = 6;

export function Figure({ seed }: { seed: number }) {
  const who = seed % heads.length;
  const Head = heads[who]!;
  return (
    <svg class={`figure blink-${seed % 3}`} viewBox="0 0 120 120" aria-hidden="true">
      <Head />
      <g class="eyes">
        <circle class="white" cx="47" cy="88" r="8.5" />
        <circle class="white" cx="73" cy="88" r="8.5" />
        <g class="pupils">
          <circle class="pupil" cx="47" cy="88" r="4.5" />
          <circle class="pupil" cx="73" cy="88" r="4.5" />
        </g>
      </g>
      {who === GLASSES && (
        <path
          class="glasses"
          d="M33 88a13 13 0 1 0 26 0a13 13 0 1 0-26 0M61 88a13 13 0 1 0 26 0a13 13 0 1 0-26 0M59 86q1-1 2 0"
        />
      )}
      {SMILES[who] && <path class="mouth" d="M53 105q7 6 14 0" />}
    </svg>
  );
}

/** A figure at the bottom of a pane. The element around the drawing is what moves: browsers do that without repainting. */
export function Looker({ seed }: { seed: number }) {
  return (
    <div class="who">
      <Figure seed={seed} />
    </div>
  );
}

/** The mark: two halves that do not match and make one face. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path class="mark-you" d="M15 3v26A13 13 0 0 1 15 3Z" />
      <path class="mark-stranger" d="M17 3h6a6 6 0 0 1 6 6v14a6 6 0 0 1-6 6h-6Z" />
      <circle class="mark-eye" cx="10" cy="14.5" r="2.2" />
      <circle class="mark-eye" cx="22" cy="14.5" r="2.2" />
    </svg>
  );
}

/** The visitor's own window: half of the stage while waiting, a small one in a corner of their choice in a call. */
import { useRef, useState } from "preact/hooks";
import { Camera, CameraOff, MicrophoneOff } from "../icons/icons.tsx";
import { words } from "../locales/en.ts";
import { useStore } from "./context.ts";
import { cornerAfter, nearestCorner, type Corner } from "./fit.ts";
import { isMediaProblem, OwnProblem } from "./media-problem.tsx";
import { Picture } from "./picture.tsx";

/** Fewer pixels than this is a tap, not a drag. */
const SLOP = 6;

const wide = () => matchMedia("(min-width: 900px) and (min-height: 500px)").matches;

export function OwnWindow({ small }: { small: boolean }) {
  const store = useStore();
  const [chosen, setChosen] = useState<Corner | null>(null);
  const corner = chosen ?? (wide() ? "bottom-right" : "top-right");
  const frame = useRef<HTMLDivElement>(null);
  const drag = useRef<{ x: number; y: number; moved: boolean } | null>(null);

  const down = (event: PointerEvent) => {
    if (!small || event.button !== 0) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    drag.current = { x: event.clientX, y: event.clientY, moved: false };
  };
  const move = (event: PointerEvent) => {
    const { current: from } = drag;
    if (!from || !frame.current) return;
    const [x, y] = [event.clientX - from.x, event.clientY - from.y];
    if (!from.moved && Math.hypot(x, y) < SLOP) return;
    from.moved = true;
    frame.current.dataset.dragged = "";
    frame.current.style.translate = `${x}px ${y}px`;
  };
  const drop = (event: PointerEvent) => {
    const { current: from } = drag;
    const { current: element } = frame;
    if (!from?.moved || !element?.parentElement) return;
    const stage = element.parentElement.getBoundingClientRect();
    const box = element.getBoundingClientRect();
    delete element.dataset.dragged;
    element.style.translate = "";
    if (event.type !== "pointerup") {
      drag.current = null; // no click follows
      return;
    }
    setChosen(
      nearestCorner(box.left + box.width / 2 - stage.left, box.top + box.height / 2 - stage.top, stage),
    );
  };
  const click = () => {
    // The click that ends a drag is not one.
    if (!drag.current?.moved) setChosen(cornerAfter(corner));
    drag.current = null;
  };

  const media = store.media.value;
  const stream = store.localStream.value;
  const seen = store.cameraOn.value && (stream?.getVideoTracks().length ?? 0) > 0;
  const problem = !seen && isMediaProblem(media) ? media : null;
  const asking = !seen && (media === "asking" || media === "unasked");
  return (
    <div ref={frame} class="window own" data-corner={corner}>
      <Picture label={words.stage.you} stream={stream} own shown={seen} />
      {!seen && !(problem && !small) && (
        <p class="own-note" data-asking={asking}>
          {asking ? <Camera /> : <CameraOff />}
          <span>{asking ? words.stage.ownSoon : words.stage.ownCameraOff}</span>
        </p>
      )}
      {problem && !small && <OwnProblem problem={problem} />}
      {!asking && !problem && !store.microphoneOn.value && (
        <span class="badge-muted">
          <MicrophoneOff />
          <span>{words.stage.ownSilent}</span>
        </span>
      )}
      {small && (
        <button
          type="button"
          class="own-handle"
          aria-label={words.stage.move}
          onPointerDown={down}
          onPointerMove={move}
          onPointerUp={drop}
          onPointerCancel={drop}
          onClick={click}
        />
      )}
    </div>
  );
}

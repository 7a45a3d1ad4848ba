/** The house of strangers on the home page: some windows are lit, in some of them somebody looks out. */
import { useEffect, useRef } from "preact/hooks";
import { Looker } from "./figure.tsx";

type Shape = "arch" | "round" | "plain";

/** `who` is the figure's number, absent for a dark window; `shy` ones come and go. */
const windows: { shape: Shape; tone: number; who?: number; shy?: number }[] = [
  { shape: "arch", tone: 0, who: 1 },
  { shape: "plain", tone: 3 },
  { shape: "arch", tone: 4, who: 10, shy: 1 },
  { shape: "round", tone: 2, who: 4, shy: 2 },
  { shape: "arch", tone: 1, who: 3 },
  { shape: "plain", tone: 5, who: 14 },
  { shape: "plain", tone: 4, who: 0 },
  { shape: "round", tone: 3, who: 5, shy: 3 },
  { shape: "arch", tone: 2, who: 15, shy: 4 },
];

export function Facade() {
  const house = useRef<HTMLDivElement>(null);

  // They look at the pointer. Set through the CSSOM, so that the page's strict policy on styles allows it.
  useEffect(() => {
    const look = (event: PointerEvent) => {
      const box = house.current?.getBoundingClientRect();
      if (!box || event.pointerType !== "mouse") return;
      const x = (event.clientX - (box.left + box.width / 2)) / (box.width / 2 + 200);
      const y = (event.clientY - (box.top + box.height / 2)) / (box.height / 2 + 100);
      house.current!.style.setProperty("--gaze-x", Math.max(-1, Math.min(1, x)).toFixed(2));
      house.current!.style.setProperty("--gaze-y", Math.max(-1, Math.min(1, y)).toFixed(2));
    };
    addEventListener("pointermove", look, { passive: true });
    return () => removeEventListener("pointermove", look);
  }, []);

  return (
    <div class="facade" ref={house} aria-hidden="true">
      {windows.map((w, i) => (
        <div key={i} class="bay">
          <div
            class={`pane ${w.shape} ${w.who === undefined ? "dark" : `tone-${w.tone}`} ${w.shy ? `shy shy-${w.shy}` : ""}`}
          >
            {w.who !== undefined && <Looker seed={w.who} />}
          </div>
          <div class="sill" />
        </div>
      ))}
    </div>
  );
}

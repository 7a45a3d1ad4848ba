/** The other window: somebody looks out of it while nobody is found, and then it opens. */
import { useEffect, useState } from "preact/hooks";
import { words } from "../locales/en.ts";
import { useStore } from "./context.ts";
import { Figure, TONES } from "./figure.tsx";
import { Picture } from "./picture.tsx";
import { situation } from "./situation.ts";
import { isFailure, tell, tellOthers } from "./status.ts";

/** A new face each time one has looked out and sunk away again. Steps that never repeat a look soon. */
const another = (seed: number) => seed + 11;

export function StrangerWindow({ video }: { video: boolean }) {
  const store = useStore();
  const [seed, setSeed] = useState(() => Math.floor(Math.random() * 1000));
  const phase = store.phase.value;
  const found = phase === "connecting" || phase === "talking";
  const stuck = isFailure(store.trouble.value);
  const seen = video && phase === "talking" && store.strangerCameraOn.value && !stuck;

  useEffect(() => {
    if (phase === "connecting") setSeed(another);
  }, [phase]);

  const now = situation(store);
  const { title, lines } = tell(now);
  const others = tellOthers(now);
  return (
    <div
      class={`window theirs tone-${seed % TONES}`}
      data-seen={seen}
      data-still={store.trouble.value === "reconnecting"}
    >
      {/* Hidden from screen readers, who hear the same from the live region of the stage. */}
      <div class="poster" data-mood={stuck ? "away" : found ? "here" : "searching"} aria-hidden="true">
        <div class="poster-words">
          <h2>{title}</h2>
          {lines.map((line) => (
            <p key={line}>{line}</p>
          ))}
          {others && <p class="count">{others}</p>}
        </div>
        <div
          class="peek"
          key={found ? "found" : "searching"}
          // The eyes blink by animations of their own, whose events bubble up to here.
          onAnimationIteration={(event) => event.target === event.currentTarget && setSeed(another)}
        >
          <Figure seed={seed} />
        </div>
      </div>
      {video && (
        <Picture
          label={words.stage.stranger}
          stream={store.remoteStream.value}
          shown={seen}
          onFrame={() => store.pictureShown()}
        />
      )}
    </div>
  );
}

/** Everything after Start: two windows side by side, then one large and one small, the conversation and the controls. */
import { useEffect, useRef, useState } from "preact/hooks";
import { words } from "../locales/en.ts";
import { Chat } from "./chat.tsx";
import { useStore } from "./context.ts";
import { Controls } from "./controls.tsx";
import { Looker, TONES } from "./figure.tsx";
import { isMediaProblem } from "./media-problem.tsx";
import { OwnWindow } from "./own-window.tsx";
import { ReportMenu } from "./report.tsx";
import { situation } from "./situation.ts";
import { isFailure, sharedWords, tell, tellServer } from "./status.ts";
import { StrangerWindow } from "./stranger-window.tsx";

/** The height that a soft keyboard leaves. iOS lays the keyboard over the page without telling CSS. */
function useVisibleHeight(): void {
  useEffect(() => {
    const { visualViewport: viewport, document } = window;
    if (!viewport) return;
    const style = document.documentElement.style;
    const measure = () => {
      if (viewport.scale > 1) return; // pinched, not covered
      style.setProperty("--visible-height", `${viewport.height}px`);
      if (viewport.offsetTop) scrollTo(0, 0);
    };
    viewport.addEventListener("resize", measure);
    viewport.addEventListener("scroll", measure);
    return () => {
      viewport.removeEventListener("resize", measure);
      viewport.removeEventListener("scroll", measure);
      style.removeProperty("--visible-height");
    };
  }, []);
}

/** How many lines of the stranger came while the chat was put away. */
function useUnread(shown: boolean): number {
  const heard = useStore().chat.value.filter((line) => line.from === "stranger").length;
  const seen = useRef(0);
  if (shown || heard < seen.current) seen.current = heard;
  return heard - seen.current;
}

/** Between two strangers the windows stay as they are, unless it takes long. */
const STAY_MS = 1600;

function useLayout(partnered: boolean): "one" | "two" {
  const [layout, setLayout] = useState<"one" | "two">("two");
  useEffect(() => {
    if (partnered) return setLayout("one");
    const timer = setTimeout(() => setLayout("two"), STAY_MS);
    return () => clearTimeout(timer);
  }, [partnered]);
  return partnered ? "one" : layout;
}

/** In a text chat the conversation is the picture, and the stranger a face above it. `busy`: what is waited for. */
function Strip({ busy }: { busy: string | null }) {
  const store = useStore();
  const [seed] = useState(() => Math.floor(Math.random() * 1000));
  const failed = isFailure(store.trouble.value);
  const { title, lines } = failed
    ? tell(situation(store))
    : { title: words.stage.stranger, lines: busy ? [] : sharedWords(store.common.value) };
  return (
    <div class="strip" data-mood={failed ? "away" : "here"}>
      <div class={`pane round tone-${seed % TONES}`}>
        <Looker seed={seed} />
      </div>
      <p>
        <b>{title}</b>
        {busy && (
          <span class="busy">
            <i aria-hidden="true" />
            {busy}
          </span>
        )}
        {lines.map((line) => (
          <span key={line}>{line}</span>
        ))}
      </p>
    </div>
  );
}

export function Stage() {
  const store = useStore();
  const [chatShown, setChatShown] = useState(true);
  const unread = useUnread(chatShown);
  const metSomebody = useRef(false);
  useVisibleHeight();

  const phase = store.phase.value;
  const partnered = phase === "connecting" || phase === "talking";
  const layout = useLayout(partnered);
  const media = store.media.value;
  const video = store.mode.value === "video";

  if (partnered) metSomebody.current = true;
  const { title, lines } = tell(situation(store));
  // Who waits reads it in the stranger's window.
  const away = phase === "waiting" ? null : tellServer(store.server.value, phase);
  const reconnecting = phase === "talking" && store.trouble.value === "reconnecting";
  const busy = reconnecting ? title : away;
  const written = !video && phase === "talking";
  // In a call there is no room for the whole story, which the own window tells while waiting.
  const unseen =
    partnered && video && isMediaProblem(media) && !store.cameraOn.value ? words.media[media] : null;
  // While the windows are closed it stands there, large.
  const shared =
    phase === "talking" && !isFailure(store.trouble.value) ? sharedWords(store.common.value) : [];

  return (
    <main
      tabIndex={-1}
      class="stage"
      data-mode={store.mode.value}
      data-phase={phase}
      data-written={store.chat.value.length > 0}
      data-layout={layout}
      data-chat={chatShown || !video ? "shown" : "away"}
    >
      <h1 class="sr-only">{store.placeName.value}</h1>
      <p class="sr-only" role="status">
        {[title, ...lines, away, unseen && `${unseen.title}. ${unseen.short}`].join(" ")}
      </p>
      <section class="view">
        {written ? <Strip busy={busy} /> : <StrangerWindow video={video} />}
        {video && <OwnWindow small={layout === "one"} />}
        <div class="view-top">
          {(partnered || metSomebody.current) && <ReportMenu past={!partnered} />}
          <div class="view-notes">
            {shared.length > 0 && !busy && !unseen && video && <p class="glass-note">{shared[0]}</p>}
            {unseen && (
              <p class="glass-note">
                <span>
                  {unseen.title}
                  <span class="more">. {unseen.short}</span>
                </span>
              </p>
            )}
            {busy && !written && (
              <p class="glass-note busy">
                <i aria-hidden="true" />
                {busy}
              </p>
            )}
          </div>
        </div>
      </section>
      <Chat />
      <Controls chatShown={chatShown} unread={unread} onChat={() => setChatShown(!chatShown)} />
    </main>
  );
}

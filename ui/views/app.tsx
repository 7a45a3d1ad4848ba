/** The whole page. It reads the store and nothing else; `main.tsx` gives it the real one. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { words } from "../locales/en.ts";
import type { Store } from "../model/state.ts";
import { Closed, Unsupported } from "./closed.tsx";
import { StoreContext, useStore } from "./context.ts";
import { Home } from "./home.tsx";
import { escapeMeans } from "./keys.ts";
import { isMediaProblem, NoCamera } from "./media-problem.tsx";
import { Stage } from "./stage.tsx";
import { tellServer } from "./status.ts";

const TOAST_MS = 7000;

function useEscape(store: Store): void {
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { activeElement: focused } = document;
      const meaning = escapeMeans({
        key: event.key,
        repeat: event.repeat,
        isComposing: event.isComposing,
        defaultPrevented: event.defaultPrevented,
        modified: event.ctrlKey || event.altKey || event.metaKey || event.shiftKey,
        typing: focused instanceof HTMLTextAreaElement || focused instanceof HTMLInputElement,
        covered:
          document.querySelector("dialog[open], [data-covers]") !== null ||
          document.fullscreenElement !== null,
        phase: store.phase.peek(),
      });
      if (meaning === "next") store.next();
      if (meaning === "blur") (focused as HTMLElement).blur();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [store]);
}

/** That a report has arrived is said wherever the visitor is by then: often already with the next stranger. */
function ReportedToast() {
  const reported = useStore().reported.value;
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!reported) return;
    setShown(true);
    const timer = setTimeout(() => setShown(false), TOAST_MS);
    return () => clearTimeout(timer);
  }, [reported]);
  return (
    <div class="toasts" role="status">
      {shown && <p class="toast">{words.report.done}</p>}
    </div>
  );
}

/** Which screen it is: its name, and what the few that say one thing say it of. */
function useScreen() {
  const { server, trouble, phase, mode, media } = useStore();
  if (server.value.state === "closed") return { name: "closed", link: server.value } as const;
  if (trouble.value === "unsupported") return { name: "unsupported" } as const;
  if (phase.value === "home") return { name: "home" } as const;
  const starts = phase.value === "starting" && mode.value === "video";
  if (starts && isMediaProblem(media.value)) return { name: "noCamera", problem: media.value } as const;
  return { name: "stage" } as const;
}

function Screen() {
  const store = useStore();
  const screen = useScreen();

  // The button that brought the visitor here is gone: the keyboard goes on from the top of the new screen.
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) document.querySelector("main")?.focus({ preventScroll: true });
    first.current = false;
  }, [screen.name]);

  if (screen.name === "closed") return <Closed link={screen.link} />;
  if (screen.name === "unsupported") return <Unsupported />;
  if (screen.name === "noCamera") return <NoCamera problem={screen.problem} />;
  if (screen.name === "stage") return <Stage />;
  const away = tellServer(store.server.value, "home");
  return (
    <>
      {/* There before it says anything, or nobody is read what it says. */}
      <div class="banners" role="status">
        {away && <p class="banner">{away}</p>}
      </div>
      <Home />
    </>
  );
}

export function App({ store }: { store: Store }) {
  useEscape(store);
  const place = store.placeName.value;
  const phase = store.phase.value;
  const met = phase === "connecting" || phase === "talking";
  // Who waits may be in another tab.
  const title = met ? words.tab.met(place) : place;
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <StoreContext.Provider value={store}>
      <Screen />
      <ReportedToast />
    </StoreContext.Provider>
  );
}

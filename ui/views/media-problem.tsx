import { words } from "../locales/en.ts";
import type { MediaState } from "../model/state.ts";
import { useStore } from "./context.ts";
import { Page } from "./page.tsx";

export type MediaProblem = Exclude<MediaState, "unasked" | "asking" | "granted">;

export function isMediaProblem(media: MediaState): media is MediaProblem {
  return media !== "unasked" && media !== "asking" && media !== "granted";
}

const canRetry = (problem: MediaProblem) =>
  problem === "denied" || problem === "missing" || problem === "busy";

/** The same in short, in the visitor's own window, while the search goes on without a picture. */
export function OwnProblem({ problem }: { problem: MediaProblem }) {
  const store = useStore();
  const { title, short } = words.media[problem];
  return (
    <div class="own-problem">
      <h2>{title}</h2>
      <p>{short}</p>
      <div>
        {canRetry(problem) && (
          <button type="button" class="button primary" onClick={() => store.retryMedia()}>
            {words.media.again}
          </button>
        )}
        <button type="button" class="button plain" onClick={() => store.start("text")}>
          {words.media.text}
        </button>
      </div>
    </div>
  );
}

/** Why there is no camera, what to do about it, and text chat as the way that works at once. */
export function NoCamera({ problem }: { problem: MediaProblem }) {
  const store = useStore();
  const { title, lead, steps } = words.media[problem];
  return (
    <Page title={title} lead={lead} who={2} tone={5}>
      <ol class="steps">
        {steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      <div class="page-actions">
        {canRetry(problem) && (
          <button type="button" class="button primary" onClick={() => store.retryMedia()}>
            {words.media.again}
          </button>
        )}
        {problem === "insecure" && (
          <a class="button primary" href={`https://${location.host}${location.pathname}`}>
            {words.media.https}
          </a>
        )}
        <button
          type="button"
          class={`button ${problem === "unsupported" ? "primary" : "plain"}`}
          onClick={() => store.start("text")}
        >
          {words.media.text}
        </button>
        <button type="button" class="button quiet" onClick={() => store.stop()}>
          {words.media.back}
        </button>
      </div>
    </Page>
  );
}

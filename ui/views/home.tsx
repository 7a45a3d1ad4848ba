import { useSignal } from "@preact/signals";
import type { Mode } from "../../src/protocol/messages.ts";
import { Camera, Lock, Words } from "../icons/icons.tsx";
import { words } from "../locales/en.ts";
import { useStore } from "./context.ts";
import { Facade } from "./facade.tsx";
import { Mark } from "./figure.tsx";
import { addInterests } from "./interests.ts";
import { HideAddress, Interests, Languages } from "./preferences.tsx";

export function Home() {
  const store = useStore();
  const online = store.online.value;
  const hidden = store.addressHidden.value;
  const typed = useSignal("");

  const start = (mode: Mode) => {
    const preferences = store.preferences.peek();
    const interests = addInterests(preferences.interests, typed.peek());
    if (interests.length > preferences.interests.length) store.setPreferences({ ...preferences, interests });
    store.start(mode);
  };

  return (
    <main class="home" tabIndex={-1}>
      <header class="home-head">
        <span class="brand">
          <Mark />
          {store.placeName.value}
        </span>
        {online !== null && (
          <span class="online">
            <i aria-hidden="true" />
            {words.home.online(online)}
          </span>
        )}
      </header>

      <Facade />

      <div class="home-body">
        <h1>{words.home.headline}</h1>
        <p class="lead">{words.home.lead}</p>

        {store.trouble.value === "noRelay" && (
          <p class="note" role="alert">
            <b>{words.trouble.noRelay.title}</b> {hidden !== "no" && words.trouble.noRelay.help[hidden]}
          </p>
        )}

        <form
          class="home-form"
          onSubmit={(event) => {
            event.preventDefault();
            start("video");
          }}
        >
          <Interests typed={typed} />
          <div class="home-actions">
            <button type="submit" class="button primary start">
              <Camera />
              {words.home.start}
            </button>
            <button type="button" class="button plain" onClick={() => start("text")}>
              <Words />
              {words.home.textOnly}
            </button>
          </div>
          <div class="home-more">
            <Languages />
            <HideAddress />
          </div>
        </form>
      </div>

      <footer class="privacy">
        <Lock />
        <p>
          <b>{words.home.privacyTitle}.</b> {words.home.privacy}
        </p>
      </footer>
    </main>
  );
}

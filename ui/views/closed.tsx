/** The server said good-bye for good. Each reason has its own way on, or says that there is none. */
import { words } from "../locales/en.ts";
import type { ServerLink } from "../model/state.ts";
import { useStore } from "./context.ts";
import { Page } from "./page.tsx";

type ClosedLink = Extract<ServerLink, { state: "closed" }>;

export function Closed({ link }: { link: ClosedLink }) {
  const store = useStore();
  if (link.why === "banned") {
    const { title, until, forGood, reason, mistake } = words.closed.banned;
    return (
      <Page title={title} lead={link.until ? until(link.until) : forGood} who={7} tone={3}>
        {link.reason && <p class="lead">{reason(link.reason)}</p>}
        <p class="lead">{mistake}</p>
      </Page>
    );
  }
  const { title, lead, action } = words.closed[link.why];
  const go = () => (link.why === "violation" ? location.reload() : store.reconnect());
  return (
    <Page
      title={title}
      lead={lead}
      who={link.why === "superseded" ? 4 : 5}
      tone={link.why === "superseded" ? 2 : 1}
    >
      {link.reason && <p class="lead">{words.closed.banned.reason(link.reason)}</p>}
      <div class="page-actions">
        <button type="button" class="button primary" onClick={go}>
          {action}
        </button>
      </div>
    </Page>
  );
}

export function Unsupported() {
  return <Page title={words.unsupported.title} lead={words.unsupported.lead} who={5} tone={4} />;
}

/** A whole page that says one thing: what happened, and the way on. */
import type { ComponentChildren } from "preact";
import { Looker } from "./figure.tsx";

export interface PageProps {
  title: string;
  lead?: string;
  /** Which figure looks out of the window. */
  who: number;
  tone: number;
  children?: ComponentChildren;
}

export function Page({ title, lead, who, tone, children }: PageProps) {
  return (
    <main class="page" tabIndex={-1}>
      <div class="page-card">
        <div class="page-window" aria-hidden="true">
          <div class={`pane arch tone-${tone}`}>
            <Looker seed={who} />
          </div>
          <div class="sill" />
        </div>
        <div class="page-words">
          <div role="alert">
            <h1>{title}</h1>
            {lead && <p class="lead">{lead}</p>}
          </div>
          {children}
        </div>
      </div>
    </main>
  );
}

/** The visitor's connection comes, goes, or is elsewhere (S2–S4). */
import { CloseCode } from "../protocol/close-codes.ts";
import { IDLE } from "./session.ts";
import type { Turn } from "./turn.ts";

export function onAttached(turn: Turn, resumed: boolean, vouched: boolean): void {
  const { state, held } = turn.session;
  turn.change({ connected: true, vouched, held: [] });
  turn.cancel("grace");
  turn.effects.push({ do: "welcome", resumed });
  for (const raw of held) turn.effects.push({ do: "relay", raw });
  if (state.name === "waiting") {
    const { offer: _ofAnotherPage, undone: _known, ...ticketed } = state;
    turn.become({ ...ticketed, told: false });
  }
  // It may have been elsewhere since, or be elsewhere now: another resume of the same session may be on its way.
  if (!resumed) return;
  if (state.name === "waiting" && vouched) turn.askAgain(state);
  else turn.reconcile();
}

export function onDetached(turn: Turn): void {
  turn.change({ connected: false });
  turn.cancel("retry");
  turn.timer("grace", turn.rules.grace);
  if (turn.session.state.name === "waiting") turn.call({ name: "absent" });
}

export function onGraceOver(turn: Turn): void {
  const { state, connected } = turn.session;
  if (connected) return;
  const over = state.name === "paired" ? turn.pairIsOver(state.match) : undefined;
  turn.become(IDLE);
  turn.call({ name: "end", over });
}

/**
 * S3: this connection is older than the one that the session has elsewhere, unless that one came late or the store
 * has not vouched for ours: then nobody knows which is the newer one, and ours may ask again.
 */
export function onSuperseded(turn: Turn, late: boolean): void {
  const { connected, vouched } = turn.session;
  const code = vouched && !late ? CloseCode.superseded : CloseCode.elsewhere;
  if (connected) turn.effects.push({ do: "close", code });
  turn.forget();
}

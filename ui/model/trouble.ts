/** What a visitor is told of a call without a connection. */
import type { Obstacle } from "./call-setup.ts";
import type { CallTrouble } from "./state.ts";

/** `wasThere`: whether there was a connection before. */
export function troubleOf(
  state: "interrupted" | "failed",
  obstacle: Obstacle,
  wasThere: boolean,
): CallTrouble {
  if (state === "interrupted") return "reconnecting";
  if (obstacle === "browser") return "browserRefused";
  if (wasThere) return "broken";
  return obstacle === "stranger" ? "strangerSilent" : "noWayThrough";
}

/** Options that are each allowed but cannot work together. */
import type { Config, Key } from "./options.ts";

export interface Contradiction {
  /** The option to change. */
  key: Key;
  /** Goes on after the key's name. */
  problem: string;
}

export function* contradictions({ ice }: Config): Generator<Contradiction> {
  const relays = ice.urls.some((url) => url.startsWith("turn"));
  if (relays && (ice.username === "" || ice.credential === "")) {
    yield {
      key: "ice.urls",
      problem: "names a TURN server, so ice.username and ice.credential must be given too",
    };
  }
  if (ice.policy === "relay" && !relays) {
    yield {
      key: "ice.policy",
      problem: 'is "relay", so ice.urls must name a TURN server: no call could connect',
    };
  }
}

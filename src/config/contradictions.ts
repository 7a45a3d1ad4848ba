/** Options that are each allowed but cannot work together. */
import type { Config, Key } from "./options.ts";

export interface Contradiction {
  /** The option to change. */
  key: Key;
  /** Goes on after the key's name. */
  problem: string;
}

export function* contradictions({ ice, tls, domain, https }: Config): Generator<Contradiction> {
  if (tls === "acme" && domain === "") {
    yield { key: "tls", problem: 'is "acme", so domain must say which name the certificate is for' };
  }
  if (tls === "files" && (https.certificate === "" || https.key === "")) {
    yield { key: "tls", problem: 'is "files", so https.certificate and https.key must be given too' };
  } else if (https.certificate !== "" && https.key === "") {
    yield { key: "https.certificate", problem: "is given, so https.key must be given too" };
  } else if (https.key !== "" && https.certificate === "") {
    yield { key: "https.key", problem: "is given, so https.certificate must be given too" };
  }
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

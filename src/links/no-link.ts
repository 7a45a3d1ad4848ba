/** The link of a node that is alone. */
import type { Link } from "./link.ts";

export function noLink(node: string): Link {
  return {
    self: { node, endpoint: "", publicKey: "" },
    send: () => false,
    setPeers() {},
    isReady: () => true,
    silentPeers: () => [],
    close: async () => {},
  };
}

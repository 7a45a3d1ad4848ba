/** The link of a node that is alone. */
import { noCounts, type Link } from "./link.ts";

export function noLink(node: string): Link {
  return {
    self: { node, endpoint: "", publicKey: "" },
    counts: noCounts(),
    send: () => false,
    broadcast: () => true,
    setPeers() {},
    isReady: () => true,
    silentPeers: () => [],
    peers: () => [],
    close: async () => {},
  };
}

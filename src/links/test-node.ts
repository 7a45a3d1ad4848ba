/**
 * A node in a process of its own, for tests that stop or kill one. Says to its parent who it is, takes its peers from
 * it, and sends every envelope back to where it came from.
 */
import { realClock } from "../clock.ts";
import type { Peer } from "./link.ts";
import { openZmqLink } from "./zmq-link.ts";

const [node = "", secret = "", times = "{}"] = process.argv.slice(2);
const link = await openZmqLink({
  node,
  secret,
  listen: "tcp://127.0.0.1:0",
  clock: realClock,
  times: JSON.parse(times),
  events: {
    onEnvelope: (from, envelope) => void link.send(from, envelope),
    onLoss() {},
    onPeer() {},
  },
});
process.on("message", (peers: Peer[]) => link.setPeers(peers));
process.on("disconnect", () => process.exit());
process.send?.(link.self);

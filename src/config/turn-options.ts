/** The options of the relay: part of the table in options.ts. */
import { HOUR, MINUTE, option } from "./option.ts";
import {
  address,
  boolean,
  duration,
  host,
  iceUrl,
  list,
  optional,
  orWord,
  port,
  size,
  stunUrl,
  text,
  whole,
} from "./types.ts";

export const turnOptions = {
  "turn.enabled": option({
    type: boolean,
    default: true,
    doc: "Whether the embedded STUN and TURN server runs: the relay for visitors who cannot reach each other directly.",
  }),
  "turn.host": option({
    type: optional(host),
    default: "",
    defaultDoc:
      "that of host; every address where host is loopback and domain is given, for a proxy is in front then",
    doc:
      "The address that the relay listens on and relays at. Where only this machine reaches it, it relays between " +
      "calls and to nothing else.",
  }),
  "turn.port": option({
    type: port,
    default: 3478,
    doc:
      "The port of the relay, UDP and TCP. 0 takes any free one. Visitors must reach it, or with HTTPS the port of the " +
      "page, where TURN over TLS is spoken too.",
  }),
  "turn.public_address": option({
    type: optional(address),
    default: "",
    defaultDoc:
      "a public address of this machine, or that of a NAT which leads to it: turn.public_address_from",
    doc:
      "The address by which visitors reach this machine, where a NAT is in front of it. Let it forward turn.port and the " +
      "ports from turn.min_port to turn.max_port as they are.",
  }),
  "turn.public_address_from": option({
    type: list(stunUrl, 10),
    default: ["stun:stun.cloudflare.com:3478", "stun:stun.l.google.com:19302"],
    doc:
      "STUN servers that are asked from which address this machine is seen: at start and every half hour, one after the " +
      "other until one answers, and only where turn.public_address is not given and the relay can be reached by others " +
      "but has no public address of IPv4. They get one packet that holds nothing, and see where it comes from. Where a " +
      "TURN allocation at that address leads to the relay, it is taken. chatrandom doctor asks them too. An empty list asks " +
      "nobody.",
  }),
  "turn.allow_private": option({
    type: orWord("auto", boolean),
    default: "auto" as boolean | "auto",
    doc:
      "Whether the relay may relay to addresses of private networks. auto allows it where the machine has no public " +
      "address, none is found for it, and neither domain nor turn.public_address is given: a party in one network. " +
      "Loopback, link-local and other special addresses stay forbidden, and so are this machine's own but for the ports " +
      "of other calls.",
  }),
  "turn.min_port": option({
    type: whole(1024, 65_535),
    default: 49_152,
    doc: "The first of the UDP ports that calls are relayed at.",
  }),
  "turn.max_port": option({
    type: whole(1024, 65_535),
    default: 65_535,
    doc: "The last of the UDP ports that calls are relayed at.",
  }),
  "turn.credential_lifetime": option({
    type: duration("10s", "7d"),
    default: 12 * HOUR,
    doc: "How long the credentials for TURN are good that each visitor gets. They are renewed long before.",
  }),
  "turn.session_allocations": option({
    type: whole(1, 10_000),
    default: 64,
    doc: "How many ports of the relay a visitor may hold. A browser takes some for each of its networks and for each call.",
  }),
  "turn.max_allocations": option({
    type: whole(1, 60_000),
    default: 4_000,
    doc: "How many ports of the relay all visitors may hold. Each takes a file descriptor, over TCP two: see ulimit -n.",
  }),
  "turn.bandwidth": option({
    type: size("8kb", "1gb"),
    default: 640 * 1024,
    doc: "How many bytes a second the relay carries for one port, each way; what is beyond is dropped. Video takes up to 300kb.",
  }),
  "turn.total_bandwidth": option({
    type: size("0b", "1024gb"),
    default: 0,
    doc:
      "How many bytes a second may be promised to all ports of the relay together, each with its turn.bandwidth; then no " +
      "more are given out. A browser takes up to four ports for a call that it begins, and one carries it: count them all. " +
      "0 sets no limit but turn.max_allocations.",
  }),
  "turn.allocation_lifetime": option({
    type: duration("1m", "1h"),
    default: 10 * MINUTE,
    doc: "How long a port of the relay is kept for a visitor who has vanished.",
  }),
  "turn.urls": option({
    type: list(iceUrl, 10),
    default: [],
    doc:
      "TURN servers elsewhere that share turn.secret with us, such as a coturn with use-auth-secret. The embedded one is " +
      "not started then.",
  }),
  "turn.secret": option({
    type: text(512),
    default: "",
    secret: true,
    doc: "The secret of the servers in turn.urls: coturn's static-auth-secret.",
  }),
};

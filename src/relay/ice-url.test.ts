import { expect, test } from "vitest";
import { parseIceUrl } from "./ice-url.ts";

test.each([
  ["stun:stun.example", "stun", "stun.example", 3478, "udp"],
  ["stuns:stun.example", "stun", "stun.example", 5349, "tls"],
  ["turn:turn.example", "turn", "turn.example", 3478, "udp"],
  ["turn:turn.example:80", "turn", "turn.example", 80, "udp"],
  ["turn:10.0.0.1:443?transport=tcp", "turn", "10.0.0.1", 443, "tcp"],
  ["turns:turn.example", "turn", "turn.example", 5349, "tls"],
  ["turns:turn.example:443?transport=tcp", "turn", "turn.example", 443, "tls"],
  ["turns:turn.example?transport=udp", "turn", "turn.example", 5349, "dtls"],
  ["turn:[2001:db8::1]:3479?transport=udp", "turn", "2001:db8::1", 3479, "udp"],
])("%s", (url, kind, host, port, transport) => {
  expect(parseIceUrl(url)).toEqual({ kind, host, port, transport });
});

test.each(["", "turn:", "http://turn.example", "turn:host?transport=sctp", "turn:[::1", "stun:host:99999"])(
  "%j is none",
  (url) => expect(parseIceUrl(url)).toBeUndefined(),
);

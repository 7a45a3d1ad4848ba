import { describe, expect, test } from "vitest";
import { discreetCandidate, discreetSdp } from "./discretion.ts";

const PUBLIC = { relayOnly: false, lan: false };
const LAN = { relayOnly: false, lan: true };
const HIDDEN = { relayOnly: true, lan: true };

const host = (address: string) =>
  `candidate:1 1 udp 2122260223 ${address} 50123 typ host generation 0 ufrag abcd`;
const reflexive =
  "candidate:2 1 udp 1686052607 198.51.100.7 50123 typ srflx raddr 192.168.1.5 rport 50123 generation 0";
const relay =
  "candidate:3 1 udp 41885439 203.0.113.9 55555 typ relay raddr 198.51.100.7 rport 50123 generation 0 ufrag abcd";

describe("a visitor who comes from a public address", () => {
  test.each([
    ["192.168.1.5", "10.0.0.5", "172.16.0.1", "172.31.255.255", "100.64.0.1", "100.127.9.9", "169.254.3.4"],
    ["127.0.0.1", "0.0.0.0", "fe80::1", "fd12:3456::1", "fc00::1", "fd::1", "::1", "::ffff:192.168.1.5"],
    [
      "FD12:3456::1",
      "febf::1",
      "ff02::fb",
      "somebody.home.arpa",
      "localhost",
      "1.2.3",
      "",
      "evil.local.example",
    ],
  ])("tells nobody of %s and its like", (...addresses) => {
    for (const address of addresses) expect(discreetCandidate(host(address), PUBLIC)).toBeNull();
  });

  test.each([
    "198.51.100.7",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.0.1",
    "100.128.0.1",
    "192.169.0.1",
    "2001:db8::7",
    "3fff::1",
    "0f1e2d3c-aaaa-bbbb-cccc-1234567890ab.local",
  ])("tells of %s", (address) => {
    expect(discreetCandidate(host(address), PUBLIC)).toBe(host(address));
  });
});

test("a visitor at a private address tells of it: partners there have no other way", () => {
  for (const address of ["192.168.1.5", "fd12:3456::1", "127.0.0.1"])
    expect(discreetCandidate(host(address), LAN)).toBe(host(address));
});

test("a relay's address is not the visitor's, so it goes out wherever it is", () => {
  const here = relay
    .replace("203.0.113.9", "192.168.1.9")
    .replace("198.51.100.7", "0.0.0.0")
    .replace("rport 50123", "rport 0");
  for (const discretion of [PUBLIC, LAN, HIDDEN]) expect(discreetCandidate(here, discretion)).toBe(here);
});

test("where a candidate was found is told to nobody", () => {
  expect(discreetCandidate(reflexive, LAN)).toBe(
    "candidate:2 1 udp 1686052607 198.51.100.7 50123 typ srflx raddr 0.0.0.0 rport 0 generation 0",
  );
  const six = "candidate:2 1 udp 1 2001:db8::9 9 typ relay raddr 2001:db8::7 rport 50123";
  expect(discreetCandidate(six, HIDDEN)).toBe("candidate:2 1 udp 1 2001:db8::9 9 typ relay raddr :: rport 0");
});

test("who hides their address tells of relays alone, and not how they reached them", () => {
  const reached = "candidate:2 1 udp 1 198.51.100.8 50123 typ prflx raddr 192.168.1.5 rport 50123";
  const madeUp = host("0f1e2d3c-aaaa-bbbb-cccc-1234567890ab.local");
  for (const line of [
    host("198.51.100.7"),
    madeUp,
    reflexive,
    reached,
    "",
    "candidate:1",
    "candidate:typ relay",
  ])
    expect(discreetCandidate(line, HIDDEN)).toBeNull();
  expect(discreetCandidate(relay, HIDDEN)).toBe(
    "candidate:3 1 udp 41885439 203.0.113.9 55555 typ relay raddr 0.0.0.0 rport 0 generation 0 ufrag abcd",
  );
});

describe("a description", () => {
  const lines = [
    "v=0",
    "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
    "s=-",
    "m=audio 50123 UDP/TLS/RTP/SAVPF 111",
    "c=IN IP4 192.168.1.5",
    "a=rtcp:50124 IN IP4 192.168.1.5",
    `a=${host("192.168.1.5")}`,
    `a=${reflexive}`,
    `a=${relay}`,
    "a=ice-ufrag:abcd",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP6 fd12::1",
    "a=sctp-port:5000",
    "",
  ];
  const sdp = lines.join("\r\n");

  test.each([
    ["public", PUBLIC, ["198.51.100.7", "203.0.113.9"]],
    ["lan", LAN, ["192.168.1.5", "198.51.100.7", "203.0.113.9"]],
    ["hidden", HIDDEN, ["203.0.113.9"]],
  ] as const)("holds the candidates of %s and no other address", (_, discretion, told) => {
    const out = discreetSdp(sdp, discretion);
    const candidates = [...out.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+)/gm)].map(([, address]) => address);
    expect(candidates).toEqual(told);
    const rest = out.replaceAll(/^a=candidate.*$/gm, "");
    expect(rest.match(/\d+\.\d+\.\d+\.\d+|fd12::1/g)).toEqual(["0.0.0.0", "0.0.0.0", "0.0.0.0"]);
    expect(out).not.toContain("raddr 1");
    expect(out.split("\r\n").filter((line) => !/candidate|IN IP/.test(line))).toEqual(
      lines.filter((line) => !/candidate|IN IP/.test(line)),
    );
  });

  test("without an address in it stays as it is", () => {
    const bare = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\nm=application 9 UDP/DTLS/SCTP x\r\nc=IN IP4 0.0.0.0\r\n";
    expect(discreetSdp(bare, HIDDEN)).toBe(bare);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Matched } from "../protocol/messages.ts";
import { hideInText } from "./hide-addresses.ts";
import { messageAfar, publicOnly, signalAfar, signalOfLan, signalThere } from "./private-addresses.ts";

const NAME = "1b4d4e66-5b0e-4b4f-9d1e-6a6c1e8f2c11.local";
const host = (address: string) =>
  `candidate:1 1 udp 2122260223 ${address} 54321 typ host generation 0 ufrag abcd`;
const SRFLX = "candidate:2 1 udp 1686052607 198.51.100.7 61000 typ srflx raddr 192.168.1.7 rport 54321";
const SRFLX_AFAR = SRFLX.replace("192.168.1.7", "0.0.0.0");
const SIX = "candidate:3 1 udp 1686052607 2001:db8::7 61000 typ srflx raddr fd00::7 rport 54321";
const SIX_AFAR = SIX.replace("fd00::7", "::");
/** The relay's own address, where it is behind a NAT. */
const RELAY = "candidate:4 1 udp 41885439 192.168.1.2 50000 typ relay raddr 192.168.1.7 rport 54321";
const RELAY_AFAR = RELAY.replace("192.168.1.7", "0.0.0.0");

const FINGERPRINT =
  "a=fingerprint:sha-256 FD:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F";

const SDP = [
  "v=0",
  "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
  "m=audio 54321 UDP/TLS/RTP/SAVPF 111 63",
  "c=IN IP4 192.168.1.7",
  "a=rtcp:54322 IN IP6 fe80::7",
  ...["10.0.0.7", "fd00::7", NAME].map((address) => `a=${host(address)}`),
  ...[SRFLX, SIX, RELAY].map((candidate) => `a=${candidate}`),
  FINGERPRINT,
  "m=video 61000 UDP/TLS/RTP/SAVPF 96",
  "c=IN IP4 198.51.100.7",
  "",
].join("\r\n");
const SDP_AFAR = [
  "v=0",
  "o=- 4611731400430051336 2 IN IP4 0.0.0.0",
  "m=audio 54321 UDP/TLS/RTP/SAVPF 111 63",
  "c=IN IP4 0.0.0.0",
  "a=rtcp:54322 IN IP6 ::",
  ...[host(NAME), SRFLX_AFAR, SIX_AFAR, RELAY_AFAR].map((candidate) => `a=${candidate}`),
  FINGERPRINT,
  "m=video 61000 UDP/TLS/RTP/SAVPF 96",
  "c=IN IP4 198.51.100.7",
  "",
].join("\r\n");

const signal = (data: object) => Buffer.from(JSON.stringify({ type: "signal", pair: "p", data }));
/** What is heard afar of the data that a visitor at a private address said. */
const afar = (data: object): unknown => {
  const heard = signalAfar(signalOfLan(signal(data)));
  return heard && (JSON.parse(Buffer.from(heard).toString()) as { data: unknown }).data;
};
const candidates = (...list: string[]) => ({
  candidates: list.map((candidate) => ({ candidate, sdpMid: "0" })),
  generation: 1,
});

describe("S7: a signal of a visitor at a private address", () => {
  test("is heard there byte for byte, and is JSON all the way", () => {
    const raw = Buffer.from(' {"type":"signal", "pair":"p","data":{"at":"10.0.0.7"}}\n');
    expect(signalThere(signalOfLan(raw))).toEqual(raw);
    expect(JSON.parse(Buffer.from(signalOfLan(raw)).toString())).toEqual(JSON.parse(raw.toString()));
  });

  test("says afar nothing of a private address, and all else", () => {
    const said = candidates(host("10.0.0.7"), host(NAME), SRFLX, SIX, host("::1"), RELAY);
    expect(afar(said)).toEqual(candidates(host(NAME), SRFLX_AFAR, SIX_AFAR, RELAY_AFAR));
    expect(afar({ description: { type: "answer", sdp: SDP } })).toEqual({
      description: { type: "answer", sdp: SDP_AFAR },
    });
  });

  test("that has nothing but candidates with one is not heard afar", () => {
    expect(
      afar(candidates(host("192.168.1.7"), host("fe80::7%eth0"), host("nas.home.arpa"))),
    ).toBeUndefined();
    expect(afar({ candidate: { candidate: host("172.16.0.7"), sdpMid: "0" } })).toBeUndefined();
  });

  test("that has none says the same afar", () => {
    for (const data of [
      candidates(host("198.51.100.7"), host(NAME)),
      { restart: "ice" },
      { candidate: "" },
      {},
    ])
      expect(afar(data)).toEqual(data);
  });
});

test("S7: a signal of anybody else is not even looked at", () => {
  const raw = signal(candidates(host("10.0.0.7")));
  expect([signalAfar(raw), signalThere(raw)]).toEqual([raw, raw]);
  expect(signalAfar(raw)).toBe(raw);
});

test("S7: what is marked and no signal is not passed on", () => {
  for (const text of [" ", " {", ' {"type":"matched","pair":"p"}'])
    expect(signalAfar(Buffer.from(text))).toBeUndefined();
});

test("S7: of messages an offer is all that is looked at", () => {
  const matched: Matched = {
    type: "matched",
    pair: "p",
    mode: "text",
    role: "answerer",
    common: { interests: ["10.0.0.7"] },
  };
  expect(messageAfar({ ...matched, offer: SDP })).toEqual({ ...matched, offer: SDP_AFAR });
  for (const message of [matched, { ...matched, offer: SDP_AFAR }, { type: "pong" } as const])
    expect(messageAfar(message)).toEqual(message);
});

describe("S7: no private address that goes in comes out", () => {
  const byte = fc.nat(255);
  const groups = fc
    .array(fc.nat(0xffff), { minLength: 1, maxLength: 5 })
    .map((list) => list.map((group) => group.toString(16)).join(":"));
  const four = (...parts: (number | fc.Arbitrary<number>)[]) =>
    fc
      .tuple(...parts.map((part) => (typeof part === "number" ? fc.constant(part) : part)))
      .map((b) => b.join("."));
  const six = (least: number, most: number) =>
    fc
      .tuple(fc.integer({ min: least, max: most }), groups)
      .map(([head, rest]) => `${head.toString(16)}::${rest}`);
  const ours = fc.oneof(
    four(10, byte, byte, byte),
    four(127, byte, byte, byte),
    four(169, 254, byte, byte),
    four(172, fc.integer({ min: 16, max: 31 }), byte, byte),
    four(192, 168, byte, byte),
    four(100, fc.integer({ min: 64, max: 127 }), byte, byte),
    six(0xfc00, 0xfdff),
    six(0xfe80, 0xfebf),
    fc.constantFrom("::1", "::ffff:192.168.1.7", "FD00::7", "fd00:1:2:3:4:5:6:7"),
  );
  const theirs = fc.oneof(
    four(fc.integer({ min: 11, max: 99 }), byte, byte, byte),
    four(192, fc.integer({ min: 169, max: 255 }), byte, byte),
    six(0x2000, 0x3fff),
    fc.uuid().map((name) => `${name}.local`),
  );
  const end = fc.constantFrom("\r\n", "\n", "\r");
  const before = fc.constantFrom("c=IN IP4 ", "o=- 1 1 IN IP6 ", "a=rtcp:9 IN IP6 ", "s=at [", "");
  const line = fc
    .tuple(ours, theirs, before)
    .chain(([mine, other, before]) =>
      fc
        .constantFrom(
          `a=${host(mine)}`,
          host(mine),
          `candidate:1 1 UDP 1 ${mine} 9 TYP HOST`,
          `a=candidate:1 1 udp 1 ${other} 9 typ srflx raddr ${mine} rport 9`,
          `a=candidate:1 1 udp 1 ${other} 9 typ relay raddr ${mine} rport 9 x ${mine}`,
          before + mine,
        )
        .map((text) => ({ mine, text })),
    );

  test("in whatever line it stands", () => {
    fc.assert(
      fc.property(fc.array(line), end, (lines, end) => {
        const left = hideInText(lines.map(({ text }) => text).join(end), publicOnly);
        const words = left.split(/[^\da-z:.-]+/i);
        for (const { mine } of lines) expect(words, left).not.toContain(mine);
      }),
    );
  });

  test("and what holds none is not changed", () => {
    fc.assert(
      fc.property(fc.array(theirs), end, (list, end) => {
        const said = list.flatMap((at) => [`a=${host(at)}`, `c=IN IP4 ${at}`]).join(end);
        expect(hideInText(said, publicOnly)).toBe(said);
      }),
    );
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { relayedOnly } from "./hidden-visitor.ts";
import * as hide from "./hide-addresses.ts";

const hideInText = (text: string) => hide.hideInText(text, relayedOnly);
const hideInData = (data: Record<string, unknown>) => hide.hideInData(data, relayedOnly);

const HOST = "candidate:1 1 udp 2122260223 192.168.1.7 54321 typ host generation 0 ufrag abcd network-id 1";
const MDNS = "candidate:2 1 udp 2122260223 1b4d4e66-5b0e-4b4f-9d1e-6a6c1e8f2c11.local 54322 typ host";
const SRFLX = "candidate:3 1 udp 1686052607 198.51.100.7 61000 typ srflx raddr 192.168.1.7 rport 54321";
const PRFLX = "candidate:4 1 udp 1686052607 2001:db8::7 61000 typ prflx raddr fd00::7 rport 54321";
const RELAY =
  "candidate:5 1 udp 41885439 203.0.113.1 50000 typ relay raddr 198.51.100.7 rport 61000 generation 0 network-cost 50";
const RELAY_HIDDEN =
  "candidate:5 1 udp 41885439 203.0.113.1 50000 typ relay raddr 0.0.0.0 rport 9 generation 0 network-cost 50";

const SDP = [
  "v=0",
  "o=- 4611731400430051336 2 IN IP4 192.168.1.7",
  "s=-",
  "t=0 0",
  "a=group:BUNDLE 0 1",
  "m=audio 61000 UDP/TLS/RTP/SAVPF 111 63",
  "c=IN IP4 198.51.100.7",
  "a=rtcp:61001 IN IP6 2001:db8::7",
  ...[HOST, MDNS, SRFLX, PRFLX, RELAY].map((candidate) => `a=${candidate}`),
  "a=ice-ufrag:EsAw",
  "a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F",
  "a=end-of-candidates",
  "m=video 0 UDP/TLS/RTP/SAVPF 96",
  "c=IN IP6 2001:db8::7",
  "",
].join("\r\n");

test("S6: of a description only what belongs to the relay is left", () => {
  expect(hideInText(SDP).split("\r\n")).toEqual([
    "v=0",
    "o=- 4611731400430051336 2 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0 1",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63",
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    `a=${RELAY_HIDDEN}`,
    "a=ice-ufrag:EsAw",
    SDP.split("\r\n").find((line) => line.startsWith("a=fingerprint")),
    "a=end-of-candidates",
    "m=video 0 UDP/TLS/RTP/SAVPF 96",
    "c=IN IP4 0.0.0.0",
    "",
  ]);
});

describe("S6: a signal", () => {
  const candidates = (...list: string[]) => ({
    candidates: list.map((candidate) => ({ candidate, sdpMid: "0" })),
    generation: 1,
  });

  test("keeps its relayed candidates", () => {
    expect(hideInData(candidates(HOST, RELAY, MDNS))).toEqual(candidates(RELAY_HIDDEN));
  });

  test("with nothing but other candidates is not passed on", () => {
    expect(hideInData(candidates(HOST, SRFLX))).toBeUndefined();
    expect(hideInData({ candidate: { candidate: PRFLX, sdpMid: "0" } })).toBeUndefined();
    expect(hideInData({ candidate: HOST })).toBeUndefined();
  });

  test("that has none stays as it is, the end of candidates too", () => {
    for (const data of [{ restart: "ice", generation: 3 }, { candidate: "" }, { candidate: null }, {}])
      expect(hideInData(data)).toEqual(data);
  });

  test("is cleaned wherever an address stands, keys included", () => {
    const data = { "at 10.0.0.1": [{ deep: { text: "I am at 10.0.0.1:80, or [fd00::1]." } }, 7, true, null] };
    expect(hideInData(data)).toEqual({
      "at 0.0.0.0": [{ deep: { text: "I am at 0.0.0.0:80, or [::]." } }, 7, true, null],
    });
  });

  test("of any depth ends", () => {
    let data: Record<string, unknown> = { candidate: HOST };
    for (let n = 0; n < 5_000; n += 1) data = { deeper: data };
    expect(JSON.stringify(hideInData(data))).not.toContain("192.168");
  });
});

test.each([
  `${RELAY} typ host`,
  RELAY.replace("typ relay", "typ host typ relay"),
  RELAY.replace("203.0.113.1", "home.example"),
  RELAY.replace("typ relay", "typ RELAY"),
  RELAY.replace(" 50000", ""),
  ` ${HOST}`,
  `x a=${HOST}`,
  HOST.toUpperCase(),
])("S6: %j shows nothing but the relay's address", (line) => {
  expect(hideInText(line)).not.toMatch(/192\.168|198\.51|home|LOCAL/i);
});

describe("S6: no address that goes in comes out", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  const port = fc.integer({ min: 1, max: 65_535 });
  // Not one of those that stand for none, which do come out.
  const own = address.filter((text) => /[1-9a-f]{2}/i.test(text) && text.length > 6);
  const other = fc.constantFrom("host", "srflx", "prflx", "HOST", "relayed", "");
  const around = fc.constantFrom("", " ", "a=", "x", "\t");
  const line = own.chain((mine) =>
    fc
      .oneof(
        fc
          .tuple(around, other, port)
          .map(([before, type, at]) => `${before}candidate:1 1 udp 1 ${mine} ${at} typ ${type}`),
        port.map(
          (at) => `a=candidate:1 1 udp 1 203.0.113.1 ${at} typ relay raddr ${mine} rport ${at} x ${mine}`,
        ),
        fc
          .constantFrom(
            "c=IN IP4 ",
            "c=IN IP6 ",
            "o=- 1 1 IN IP4 ",
            "a=rtcp:9 IN IP6 ",
            "a=x:",
            "a=remote-candidates:1 ",
          )
          .map((before) => `${before}${mine}`),
        fc.constantFrom("(", "[", " ", "=", "<").map((before) => `s=${before}${mine} .`),
      )
      .map((text) => ({ mine, text })),
  );

  test("of a description", () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), fc.constantFrom("\r\n", "\n", "\r"), (lines, end) => {
        const hidden = hideInText(lines.map(({ text }) => text).join(end));
        for (const { mine } of lines) expect(hidden.includes(mine), `${mine} in ${hidden}`).toBe(false);
      }),
    );
  });

  test("of a signal, whatever it looks like", () => {
    const data = fc.dictionary(
      fc.string(),
      fc.letrec<{ value: unknown }>((tie) => ({
        value: fc.oneof(
          { maxDepth: 4 },
          line,
          fc.double(),
          fc.boolean(),
          fc.array(tie("value"), { maxLength: 3 }),
          fc.dictionary(fc.constantFrom("candidate", "candidates", "sdp", "x", "__proto__"), tie("value")),
        ),
      })).value,
    );
    fc.assert(
      fc.property(data, (data) => {
        const mine = new Set<string>();
        const texts = JSON.stringify(data, (_key, value: unknown) => {
          if (typeof value !== "object" || value === null || !("mine" in value)) return value;
          const { mine: address, text } = value as { mine: string; text: string };
          mine.add(address);
          return text;
        });
        const hidden = JSON.stringify(hideInData(JSON.parse(texts) as Record<string, unknown>) ?? {});
        for (const address of mine) expect(hidden.includes(address), `${address} in ${hidden}`).toBe(false);
      }),
    );
  });

  test("and what holds none is not changed", () => {
    const words = fc
      .stringMatching(/^[a-zA-Z =;/-]{0,30}$/)
      .filter((text) => !text.startsWith("m=") && !text.startsWith("c="));
    fc.assert(
      fc.property(fc.array(words), (lines) => {
        expect(hideInText(lines.join("\r\n"))).toBe(lines.join("\r\n"));
      }),
    );
  });
});

test("S6: a text that is made to be slow is not", () => {
  // Time that grows with the square would be minutes here.
  for (const piece of ["a", ":", ".", "1.", "::x", "candidate:", "c= ", "m=", "a-", "1.2.3.4"])
    hideInText(piece.repeat(1_000_000 / piece.length));
});

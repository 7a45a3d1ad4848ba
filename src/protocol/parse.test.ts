import fc from "fast-check";
import { expect, test } from "vitest";
import { parse } from "./parse.ts";

const EMPTY_SDP = '{"sdp":""}'.length;

const error = (value: unknown) => {
  const parsed = parse(typeof value === "string" ? value : JSON.stringify(value));
  if (parsed.ok) throw new Error(`accepted: ${JSON.stringify(parsed.message)}`);
  return parsed.error;
};
const message = (value: unknown) => {
  const parsed = parse(JSON.stringify(value));
  if (!parsed.ok) throw new Error(`refused: ${parsed.error.message}`);
  return parsed.message;
};

test("T2: a frame is one JSON object with a string type", () => {
  for (const text of ["", "{", "null", "7", '"leave"', "[]", '[{"type":"leave"}]']) {
    expect(error(text).code).toBe("invalid_message");
  }
  expect(error({ type: 7 })).toMatchObject({ code: "invalid_message", field: "type" });
  expect(error({})).toMatchObject({ code: "invalid_message", field: "type" });
});

test("T5: an unknown type is named as such", () => {
  expect(error({ type: "welcome" }).code).toBe("unknown_type");
  expect(error({ type: "__proto__" }).code).toBe("unknown_type");
});

test("T5: unknown extra fields are ignored and not carried on", () => {
  expect(message({ type: "leave", to: "somebody" })).toEqual({ type: "leave" });
  expect(message({ type: "find", mode: "text", node: "n1" })).toEqual({ type: "find", mode: "text" });
});

test.each([
  [{ type: "find" }, "mode"],
  [{ type: "find", mode: "audio" }, "mode"],
  [{ type: "find", mode: "text", interests: "music" }, "interests"],
  [{ type: "find", mode: "text", interests: [""] }, "interests"],
  [{ type: "find", mode: "text", interests: ["x".repeat(33)] }, "interests"],
  [{ type: "find", mode: "text", interests: Array.from({ length: 11 }, (_, i) => `i${i}`) }, "interests"],
  [{ type: "find", mode: "text", languages: ["en", "de", "fr", "es", "it", "pt"] }, "languages"],
  [{ type: "find", mode: "text", strict: "yes" }, "strict"],
  [{ type: "find", mode: "text", again: 1 }, "again"],
  [{ type: "find", mode: "text", relay: 1 }, "relay"],
  [{ type: "signal", pair: "p", data: {}, relay: "true" }, "relay"],
  [{ type: "find", mode: "text", offer: 7 }, "offer"],
  [{ type: "find", mode: "text", offer: "x".repeat(32_769) }, "offer"],
  [{ type: "find", mode: "text", offer: "é".repeat(16_385) }, "offer"],
  [{ type: "signal", data: {} }, "pair"],
  [{ type: "signal", pair: "p" }, "data"],
  [{ type: "signal", pair: "p", data: [] }, "data"],
  [{ type: "signal", pair: "p", data: { sdp: "x".repeat(32_769 - EMPTY_SDP) } }, "data"],
  [{ type: "block" }, "pair"],
  [{ type: "report", pair: "p", reason: "ugly" }, "reason"],
  [{ type: "report", pair: "p", reason: "spam", details: "x".repeat(501) }, "details"],
  [{ type: "ping", t: "now" }, "t"],
  [{ type: "quality", outcome: "connected" }, "pair"],
  [{ type: "quality", pair: "p" }, "outcome"],
  [{ type: "quality", pair: "p", outcome: "fine" }, "outcome"],
  [{ type: "quality", pair: "p", outcome: "failed", cause: "he was rude" }, "cause"],
  [{ type: "quality", pair: "p", outcome: "connected", way: "host" }, "way"],
  [{ type: "quality", pair: "p", outcome: "connected", way: { local: "host" } }, "remote"],
  [
    {
      type: "quality",
      pair: "p",
      outcome: "connected",
      way: { local: "host", remote: "host", transport: "sctp" },
    },
    "transport",
  ],
  [{ type: "quality", pair: "p", outcome: "connected", firstFrame: -1 }, "firstFrame"],
  [{ type: "quality", pair: "p", outcome: "connected", firstFrame: 600_001 }, "firstFrame"],
  [{ type: "quality", pair: "p", outcome: "connected", firstFrame: "1" }, "firstFrame"],
  [{ type: "quality", pair: "p", outcome: "connected", interrupted: 1 }, "interrupted"],
  [{ type: "quality", pair: "p", outcome: "connected", moved: "yes" }, "moved"],
  [{ type: "hello", resume: 7 }, "resume"],
  [{ type: "hello", device: "x".repeat(129) }, "device"],
  [{ type: "hello", proof: "me" }, "proof"],
])("T5: %j is refused with the field %s", (value, field) => {
  expect(error(value)).toMatchObject({ code: "invalid_message", field });
});

test("everything the contract allows is accepted as it came", () => {
  for (const value of [
    { type: "hello", resume: "r", device: "d", invite: "i", proof: { a: 1 }, lang: "pt-BR" },
    {
      type: "find",
      mode: "video",
      interests: ["🏳️‍🌈 pride", "x".repeat(32)],
      languages: ["en"],
      strict: true,
      offer: "v=0",
    },
    { type: "signal", pair: "p", data: { sdp: "x".repeat(32_768 - EMPTY_SDP) } },
    { type: "find", mode: "text", offer: "x".repeat(32_768) },
    { type: "find", mode: "text", offer: "é".repeat(16_384) },
    { type: "report", pair: "p", reason: "minor", details: "x".repeat(500) },
    { type: "block", pair: "p" },
    { type: "quality", pair: "p", outcome: "abandoned" },
    {
      type: "quality",
      pair: "p",
      outcome: "connected",
      cause: "media_denied",
      way: { local: "relay", remote: "srflx", transport: "tls" },
      firstFrame: 1_234.5,
      interrupted: true,
      moved: false,
    },
    { type: "ping", t: 1.5 },
    { type: "leave" },
  ]) {
    expect(message(value)).toEqual(value);
  }
});

test("32 emoji are 32 characters", () => {
  expect(message({ type: "find", mode: "text", interests: ["🎸".repeat(32)] })).toBeDefined();
  expect(error({ type: "find", mode: "text", interests: ["🎸".repeat(33)] }).field).toBe("interests");
});

test("no text at all makes the parser throw", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => void parse(text)),
    { numRuns: 2_000 },
  );
  const anyMessage = fc.record(
    {
      type: fc.constantFrom("hello", "find", "leave", "signal", "block", "report", "ping", "constructor"),
      mode: fc.oneof(fc.constantFrom("video", "text"), fc.anything()),
      interests: fc.anything(),
      languages: fc.anything(),
      offer: fc.anything(),
      pair: fc.anything(),
      data: fc.anything(),
      reason: fc.anything(),
      device: fc.anything(),
      t: fc.anything(),
    },
    { requiredKeys: ["type"] },
  );
  fc.assert(
    fc.property(anyMessage, (value) => {
      let text: string;
      try {
        text = JSON.stringify(value);
      } catch {
        return;
      }
      parse(text);
    }),
    { numRuns: 3_000 },
  );
});

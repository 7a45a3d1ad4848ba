import fc from "fast-check";
import { expect, test } from "vitest";
import type { ServerMessage } from "../../src/protocol/messages.ts";
import { parseServerMessage } from "./server-message.ts";

const messages: ServerMessage[] = [
  {
    type: "welcome",
    version: 1,
    resume: "r",
    resumed: true,
    state: "paired",
    pair: "p",
    mode: "video",
    role: "answerer",
    common: { interests: [] },
    iceServers: [],
    iceTransportPolicy: "relay",
    online: 3,
    settings: {},
  },
  { type: "waiting", since: 1, online: 2, waiting: 1, relaxed: ["recent"] },
  {
    type: "matched",
    pair: "p",
    mode: "text",
    role: "offerer",
    common: { interests: ["go"], language: "en" },
  },
  { type: "signal", pair: "p", data: {} },
  { type: "ended", pair: "p", reason: "left" },
  { type: "status", online: 2, waiting: 1 },
  { type: "ice", iceServers: [] },
  { type: "reported", pair: "p" },
  { type: "banned", until: null, reason: "spam" },
  { type: "drain", after: 1_000 },
  { type: "pong" },
  { type: "error", code: "rate_limited", message: "slow down", retryAfter: 1 },
];

test("every message of the contract is taken", () => {
  for (const message of messages) expect(parseServerMessage(JSON.stringify(message))).toEqual(message);
});

test("a message that lacks a field is none", () => {
  const optional = new Set(["pair of welcome", "mode of welcome", "role of welcome", "common of welcome"]);
  optional.add("retryAfter of error");
  for (const message of messages) {
    for (const field of Object.keys(message)) {
      if (optional.has(`${field} of ${message.type}`)) continue;
      const { [field]: _left, ...rest } = message as unknown as Record<string, unknown>;
      expect(parseServerMessage(JSON.stringify(rest)), `${message.type} without ${field}`).toBeNull();
    }
  }
});

test.each([
  ["[]"],
  ["null"],
  ["{"],
  ['{"type":"newer"}'],
  ['{"type":"toString"}'],
  ['{"type":1}'],
  [7],
  [undefined],
])("%s is no message", (frame) => {
  expect(parseServerMessage(frame)).toBeNull();
});

test("fields that a newer node adds pass by", () => {
  expect(parseServerMessage('{"type":"status","online":1,"waiting":0,"mood":"good"}')).toMatchObject({
    online: 1,
  });
});

test("survives anything", () => {
  fc.assert(
    fc.property(fc.json(), (frame) => {
      parseServerMessage(frame);
    }),
    { seed: 1, numRuns: 1_000 },
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCallSignal } from "./call-signal.ts";

const candidate = {
  candidate: "candidate:1 1 udp 2113937151 192.0.2.1 54321 typ host",
  sdpMid: "0",
  sdpMLineIndex: 0,
  usernameFragment: "abcd",
};
const sdp = "v=0\r\nm=audio 9 UDP 0\r\n";

test("takes what pages of ours send", () => {
  for (const signal of [
    { description: { type: "offer", sdp }, generation: 1 },
    { description: { type: "answer", sdp }, generation: 7 },
    { candidates: [candidate, candidate], generation: 2 },
    { restart: "ice", generation: 3 },
    { restart: "connection", generation: 0 },
  ]) {
    expect(parseCallSignal(JSON.parse(JSON.stringify(signal)))).toEqual(signal);
  }
});

test("leaves out what does not belong there", () => {
  const extra = { ...candidate, address: "192.0.2.1", foundation: {} };
  expect(parseCallSignal({ candidates: [extra], generation: 1, more: 1 })).toEqual({
    candidates: [candidate],
    generation: 1,
  });
  const short = { candidate: candidate.candidate, sdpMid: "0" };
  expect(parseCallSignal({ candidates: [short], generation: 1 })).toEqual({
    candidates: [{ ...short, sdpMLineIndex: null, usernameFragment: null }],
    generation: 1,
  });
});

const description = (value: unknown) => ({ description: value, generation: 1 });
const withCandidate = (change: object) => ({ candidates: [{ ...candidate, ...change }], generation: 1 });

test.each([
  ["nothing", undefined],
  ["null", null],
  ["a list", []],
  ["text", "offer"],
  ["no generation", { description: { type: "offer", sdp } }],
  ["half a generation", { restart: "ice", generation: 0.5 }],
  ["a negative generation", { restart: "ice", generation: -1 }],
  ["an endless generation", { restart: "ice", generation: Infinity }],
  ["a huge generation", { restart: "ice", generation: 1e9 }],
  ["a generation as text", { restart: "ice", generation: "1" }],
  ["generation 0 of a description", { description: { type: "offer", sdp }, generation: 0 }],
  ["another restart", { restart: true, generation: 1 }],
  ["a rollback", description({ type: "rollback", sdp })],
  ["a provisional answer", description({ type: "pranswer", sdp })],
  ["no text in it", description({ type: "offer", sdp: 1 })],
  ["no SDP in it", description({ type: "offer", sdp: "hello" })],
  ["too long an SDP", description({ type: "offer", sdp: sdp + "a".repeat(32 * 1024) })],
  ["too many sections", description({ type: "offer", sdp: "v=0\r\n" + "m=video 9 UDP 0\r\n".repeat(4) })],
  ["no candidates", { candidates: [], generation: 1 }],
  ["too many candidates", { candidates: Array(17).fill(candidate), generation: 1 }],
  ["a candidate that is none", { candidates: [candidate, null], generation: 1 }],
  ["a candidate of another kind", withCandidate({ candidate: "a=mid:0" })],
  ["a candidate with a line break", withCandidate({ candidate: "candidate:1\r\na=x" })],
  ["an empty candidate", withCandidate({ candidate: "" })],
  ["a long candidate", withCandidate({ candidate: "candidate:" + "1".repeat(1024) })],
  ["a long section name", withCandidate({ sdpMid: "0".repeat(33) })],
  ["a section that cannot be", withCandidate({ sdpMLineIndex: 3 })],
  ["no section", withCandidate({ sdpMid: null, sdpMLineIndex: null })],
  ["a long user name", withCandidate({ usernameFragment: "a".repeat(257) })],
])("drops %s", (_what, data) => {
  expect(parseCallSignal(data)).toBeNull();
});

test("survives anything", () => {
  const anything = fc.oneof(
    fc.anything(),
    fc.record(
      {
        description: fc.anything(),
        candidates: fc.anything(),
        restart: fc.anything(),
        generation: fc.integer(),
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(anything, (data) => {
      parseCallSignal(data);
    }),
    { seed: 1, numRuns: 2_000 },
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_NUMBER, Writer } from "./bytes.ts";
import { BROADCAST, MAX_ENVELOPES, beginBatch, decodeFrame, encodeBeat, nodeOf, topicOf } from "./frame.ts";

const node = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 80 })
  .filter((id) => Buffer.byteLength(id) <= 255);
const number = fc.maxSafeNat().map((n) => n % (MAX_NUMBER + 1));

function batch(topic: Buffer, stream: number, first: number, envelopes: readonly Uint8Array[]): Buffer {
  const writer = new Writer();
  beginBatch(writer, topic, stream, first);
  for (const envelope of envelopes) writer.bytes(envelope);
  return writer.take();
}

test("a topic names its node, and none is the beginning of another", () => {
  fc.assert(
    fc.property(node, node, (one, other) => {
      const topic = topicOf(one)!;
      expect(nodeOf(topic)).toBe(one);
      if (one !== other) expect(topicOf(other)!.subarray(0, topic.length)).not.toEqual(topic);
      expect(topic[0]).not.toBe(BROADCAST[0]);
    }),
  );
});

test("an id that is empty or too long has no topic", () => {
  expect(topicOf("")).toBeUndefined();
  expect(topicOf("x".repeat(255))).toHaveLength(256);
  expect(topicOf("x".repeat(256))).toBeUndefined();
  for (const bytes of [[], [0], [2, 65], [1, 65, 65]]) expect(nodeOf(Buffer.from(bytes))).toBeUndefined();
});

test("every batch reads as it was written", () => {
  const envelopes = fc.array(fc.uint8Array({ maxLength: 3_000 }).map((array) => Buffer.from(array)));
  fc.assert(
    fc.property(fc.option(node), number, number, envelopes, (to, stream, first, envelopes) => {
      const frame = decodeFrame(batch(to === null ? BROADCAST : topicOf(to)!, stream, first, envelopes));
      expect(frame).toEqual({ kind: "batch", toAll: to === null, stream, first, envelopes });
    }),
  );
});

test("every beat reads as it was written, and is never for all", () => {
  const beat = fc.record({
    stream: number,
    next: number,
    streamToAll: number,
    nextToAll: number,
    heard: number,
    expected: number,
    asks: fc.boolean(),
  });
  fc.assert(
    fc.property(node, beat, (to, beat) => {
      expect(decodeFrame(encodeBeat(topicOf(to)!, beat))).toEqual({ kind: "beat", ...beat });
      expect(decodeFrame(encodeBeat(BROADCAST, beat))).toBeUndefined();
    }),
  );
});

test("any bytes are a frame or are not, and never an error", () => {
  const hostile = fc
    .tuple(node, fc.nat(3), fc.uint8Array({ maxLength: 400 }))
    .map(([to, kind, rest]) => Buffer.concat([topicOf(to)!, Buffer.from([kind]), rest]));
  const noise = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(fc.oneof(hostile, noise), (bytes) => void decodeFrame(bytes)),
    { numRuns: 2_000 },
  );
});

test("a frame of nothing but empty envelopes is refused before it fills the memory", () => {
  const nothing = new Uint8Array(0);
  const full = Array.from({ length: MAX_ENVELOPES }, () => nothing);
  expect(decodeFrame(batch(BROADCAST, 1, 0, full))).toBeDefined();
  expect(decodeFrame(batch(BROADCAST, 1, 0, [...full, nothing]))).toBeUndefined();
});

import { expect, test } from "vitest";
import { decodeFrame, topicOf, type Batch } from "./frame.ts";
import type { Envelope } from "./link.ts";
import { IncomingStream, OutgoingStream } from "./stream.ts";

const topic = topicOf("n2")!;
const WINDOW = { bytes: 1_000, batches: 3 };
const signal = (bytes: number): Envelope => ({
  kind: "note",
  to: "to",
  from: "from",
  note: { type: "signal", pair: "pair", raw: Buffer.alloc(bytes, "x") },
});
const batchOf = (frame: Buffer | undefined): Batch => decodeFrame(frame!) as Batch;

test("what is pushed before it is taken is one batch, numbered from its first", () => {
  const stream = new OutgoingStream(topic, WINDOW);
  expect(stream.take()).toBeUndefined();
  for (let i = 0; i < 3; i++) expect(stream.push(signal(10))).toBe(true);
  expect(stream.next).toBe(0);
  expect(batchOf(stream.take())).toMatchObject({ stream: stream.id, first: 0, toAll: false });
  expect(stream.next).toBe(3);
  stream.push(signal(10));
  const batch = batchOf(stream.take());
  expect(batch).toMatchObject({ first: 3 });
  expect(batch.envelopes).toHaveLength(1);
  expect(stream.take()).toBeUndefined();
});

test("a batch that is being sent is not written to again", () => {
  const stream = new OutgoingStream(topic, WINDOW);
  stream.push(signal(50));
  const frame = stream.take()!;
  const before = Buffer.from(frame);
  stream.push({ kind: "takeover", session: "other".repeat(10), epoch: 1 });
  stream.take();
  expect(frame.equals(before)).toBe(true);
});

test("a full window refuses, leaves the batch as it was, and opens as the other end confirms", () => {
  const stream = new OutgoingStream(topic, WINDOW);
  expect(stream.push(signal(400))).toBe(true);
  stream.take();
  expect(stream.push(signal(300))).toBe(true);
  expect(stream.push(signal(300))).toBe(false);
  expect(stream.push(signal(10))).toBe(true);
  expect(batchOf(stream.take())).toMatchObject({ first: 1, envelopes: { length: 2 } });
  expect(stream.push(signal(400))).toBe(false);
  stream.confirm(1);
  expect(stream.push(signal(400))).toBe(true);
  expect(batchOf(stream.take())).toMatchObject({ first: 3, envelopes: { length: 1 } });
});

test("an envelope larger than the window is refused even alone, and takes no number", () => {
  const stream = new OutgoingStream(topic, WINDOW);
  expect(stream.push(signal(2_000))).toBe(false);
  expect(stream.take()).toBeUndefined();
  stream.push(signal(10));
  expect(batchOf(stream.take())).toMatchObject({ first: 0, envelopes: { length: 1 } });
});

test("small batches are bounded by their number", () => {
  const stream = new OutgoingStream(topic, WINDOW);
  for (let i = 0; i < 3; i++) {
    expect(stream.push(signal(1))).toBe(true);
    stream.take();
  }
  expect(stream.push(signal(1))).toBe(false);
  stream.confirm(2);
  expect(stream.push(signal(1))).toBe(true);
});

test("a receipt for what was never sent confirms no more than there is", () => {
  const stream = new OutgoingStream(topic, WINDOW);
  stream.push(signal(900));
  stream.take();
  stream.confirm(1_000_000);
  expect(stream.push(signal(900))).toBe(true);
  stream.confirm(0);
  expect(stream.next).toBe(0 + 1);
});

test("the incoming end counts what is missing once, and drops what comes again", () => {
  const stream = new IncomingStream();
  expect(stream.begin(7, 100)).toBe(true);
  expect(stream.reach(100)).toBe(0);
  expect(stream.accept(100)).toBe(true);
  expect(stream.accept(100)).toBe(false);
  expect(stream.reach(104)).toBe(3);
  expect(stream.reach(104)).toBe(0);
  expect(stream.reach(90)).toBe(0);
  expect(stream.accept(103)).toBe(false);
  expect(stream.accept(104)).toBe(true);
  expect(stream.expected).toBe(105);
});

test("a sender that starts anew is numbered anew, without a gap", () => {
  const stream = new IncomingStream();
  stream.begin(7, 0);
  stream.reach(50);
  expect(stream.begin(7, 0)).toBe(false);
  expect(stream.begin(8, 2)).toBe(true);
  expect(stream.reach(2)).toBe(0);
  expect(stream.accept(2)).toBe(true);
});

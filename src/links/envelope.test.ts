import fc from "fast-check";
import { expect, test } from "vitest";
import { Writer } from "./bytes.ts";
import { readEnvelope, writeEnvelope } from "./envelope.ts";
import type { Envelope } from "./link.ts";

const id = fc.string({ unit: "grapheme", maxLength: 300 });
const bytes = fc.uint8Array({ maxLength: 5_000 }).map((array) => Buffer.from(array));
const epoch = fc.maxSafeNat().map((n) => n % 2 ** 48);
const frames = fc.array(bytes, { maxLength: 64 });
const optional = <K extends string, V>(key: K, value: fc.Arbitrary<V>) =>
  fc.option(value).map((some) => (some === null ? {} : ({ [key]: some } as Record<K, V>)));

const matched = fc
  .tuple(
    fc.record({
      type: fc.constant("matched" as const),
      pair: id,
      mode: fc.constantFrom("video" as const, "text" as const),
      role: fc.constantFrom("offerer" as const, "answerer" as const),
      epoch,
    }),
    fc
      .tuple(
        fc.record({ interests: fc.array(fc.string({ unit: "binary" })) }),
        optional("language", fc.string()),
      )
      .map(([common, language]) => ({ ...common, ...language })),
    optional("offer", fc.string({ unit: "binary", maxLength: 5_000 })),
  )
  .map(([note, common, offer]) => ({ ...note, common, ...offer }));

const note = fc.oneof(
  fc.record({ type: fc.constant("signal" as const), pair: id, epoch, raw: bytes }),
  matched,
  fc.record({ type: fc.constantFrom("confirmed" as const, "refused" as const), pair: id }),
  fc.record({ type: fc.constant("last" as const), pair: id, epoch }),
  fc.record({
    type: fc.constant("ended" as const),
    pair: id,
    reason: fc.constantFrom("left", "next", "lost", "blocked", "removed"),
  }),
);

const envelope = fc.oneof(
  fc.record({ kind: fc.constant("note" as const), to: id, from: id, note }),
  fc.record(
    {
      kind: fc.constant("takeover" as const),
      session: id,
      epoch,
      late: fc.constant(true as const),
    },
    { requiredKeys: ["kind", "session", "epoch"] },
  ),
  fc.record({ kind: fc.constant("held" as const), session: id, epoch, pair: id, frames }),
  fc.record({ kind: fc.constant("stranded" as const), session: id, epoch, said: epoch, pair: id, frames }),
) as fc.Arbitrary<Envelope>;

function encode(envelope: Envelope): Buffer {
  const writer = new Writer();
  writeEnvelope(writer, envelope);
  return writer.take();
}

test("every envelope reads as it was written", () => {
  fc.assert(
    fc.property(envelope, (sent) => {
      expect(readEnvelope(encode(sent))).toEqual(sent);
    }),
  );
});

test("a signal's bytes travel as they are", () => {
  const raw = Buffer.from('{"type":"signal", "pair":"p",\t"data":{"candidate":""}}');
  const encoded = encode({ kind: "note", to: "t", from: "f", note: { type: "signal", pair: "p", raw } });
  expect(encoded.includes(raw)).toBe(true);
});

test("a signal that is kept does not keep the message it came in", () => {
  const raw = Buffer.alloc(100);
  const encoded = encode({ kind: "note", to: "t", from: "f", note: { type: "signal", pair: "p", raw } });
  const message = Buffer.concat([Buffer.alloc(1_000_000), encoded]);
  const read = readEnvelope(message.subarray(1_000_000));
  expect(read?.kind === "note" && read.note.type === "signal" && read.note.raw.buffer).not.toBe(
    message.buffer,
  );
});

test("half an envelope is none, and neither is one with something behind it", () => {
  fc.assert(
    fc.property(envelope, fc.nat(), (sent, at) => {
      const encoded = encode(sent);
      const half = readEnvelope(encoded.subarray(0, at % encoded.length));
      // Cut between two of its frames, `held` is a whole envelope again; the batch says how long it has to be.
      if (half) expect(half.kind).toBe("held");
      if (sent.kind !== "held")
        expect(readEnvelope(Buffer.concat([encoded, Buffer.from([0])]))).toBeUndefined();
    }),
  );
});

test("any bytes are an envelope or are not, and never an error", () => {
  const lengths = fc.constantFrom(0, 1, 5, 255, 0xffff_ffff).map((n) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(n);
    return length;
  });
  const hostile = fc
    .tuple(fc.nat(5), fc.array(fc.oneof(bytes, lengths)))
    .map(([kind, parts]) => Buffer.concat([Buffer.from([kind]), ...parts]));
  fc.assert(
    fc.property(hostile, (bytes) => void readEnvelope(bytes)),
    { numRuns: 2_000 },
  );
});

test.each([
  ["no JSON", "{"],
  ["no object", "null"],
  ["no type", '{"pair":"p"}'],
  ["a type from the prototype", '{"type":"constructor","pair":"p"}'],
  ["no pair", '{"type":"confirmed"}'],
  ["a signal", '{"type":"signal","pair":"p","raw":{}}'],
  ["an unknown reason", '{"type":"ended","pair":"p","reason":"toString"}'],
  ["an unknown mode", '{"type":"matched","pair":"p","mode":"x","role":"offerer","common":{"interests":[]}}'],
  ["an unknown role", '{"type":"matched","pair":"p","mode":"text","role":"x","common":{"interests":[]}}'],
  ["no common", '{"type":"matched","pair":"p","mode":"text","role":"offerer"}'],
  [
    "interests of numbers",
    '{"type":"matched","pair":"p","mode":"text","role":"offerer","common":{"interests":[1]}}',
  ],
  [
    "an offer that is no text",
    '{"type":"matched","pair":"p","mode":"text","role":"offerer","common":{"interests":[]},"offer":{}}',
  ],
])("a note that is %s is refused", (_what, json) => {
  const writer = new Writer();
  writer.byte(2);
  writer.text("to");
  writer.text("from");
  writer.text(json);
  expect(readEnvelope(writer.take())).toBeUndefined();
});

test("more frames than a session can hold are refused", () => {
  const frames = Array.from({ length: 65 }, () => Buffer.alloc(0));
  expect(readEnvelope(encode({ kind: "held", session: "s", epoch: 2, pair: "p", frames }))).toBeUndefined();
});

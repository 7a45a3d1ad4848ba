/**
 * What travels between two nodes. A frame is one ZeroMQ message of one part; it begins with its topic, by which the
 * publisher filters. A topic has its length in front, so that none is the beginning of another; the broadcast topic
 * is the empty one.
 */
import { Reader, Writer } from "./bytes.ts";

export interface Batch {
  readonly kind: "batch";
  /** Whether it was sent to every node, in the stream for all. */
  readonly toAll: boolean;
  readonly stream: number;
  /** The number of the first envelope in its stream. */
  readonly first: number;
  /** Encoded envelopes: views into the frame. */
  readonly envelopes: readonly Buffer[];
}

/** The heartbeat between two nodes, the handshake and the receipt, all in one. */
export interface Beat {
  readonly kind: "beat";
  /** The sender's stream to the receiver, and the number that comes next in it. */
  readonly stream: number;
  readonly next: number;
  /** The same of the sender's stream to all. */
  readonly streamToAll: number;
  readonly nextToAll: number;
  /** The receiver's stream as the sender hears it, or 0 when it hears none, and which number it expects next. */
  readonly heard: number;
  readonly expected: number;
  /** Whether the sender would like an answer at once, because the two do not hear each other yet. */
  readonly asks: boolean;
}

export type Frame = Batch | Beat;

const BATCH = 1;
const BEAT = 2;
const MAX_NODE_BYTES = 255;
/** So that a frame of nothing but empty envelopes does not blow up when it is read. */
export const MAX_ENVELOPES = 65_536;

export const BROADCAST: Buffer = Buffer.from([0]);

/** Undefined when the id is empty or longer than 255 bytes. */
export function topicOf(node: string): Buffer | undefined {
  const id = Buffer.from(node);
  return id.length > 0 && id.length <= MAX_NODE_BYTES
    ? Buffer.concat([Buffer.from([id.length]), id])
    : undefined;
}

/** The node whose topic it is; undefined for the broadcast topic and for bytes that are no topic. */
export function nodeOf(topic: Buffer): string | undefined {
  return topic.length > 1 && topic[0] === topic.length - 1 ? topic.toString("utf8", 1) : undefined;
}

/** Begins a batch; its envelopes follow, each as a block of `writer`. */
export function beginBatch(writer: Writer, topic: Buffer, stream: number, first: number): void {
  writeTopic(writer, topic);
  writer.byte(BATCH);
  writer.number(stream);
  writer.number(first);
}

export function encodeBeat(topic: Buffer, beat: Omit<Beat, "kind">): Buffer {
  const writer = new Writer();
  writeTopic(writer, topic);
  writer.byte(BEAT);
  writer.number(beat.stream);
  writer.number(beat.next);
  writer.number(beat.streamToAll);
  writer.number(beat.nextToAll);
  writer.number(beat.heard);
  writer.number(beat.expected);
  writer.byte(beat.asks ? 1 : 0);
  return writer.take();
}

/** Undefined when the bytes are no frame. Never throws. */
export function decodeFrame(bytes: Buffer): Frame | undefined {
  const topicLength = bytes[0];
  if (topicLength === undefined || bytes.length < topicLength + 2) return undefined;
  const reader = new Reader(bytes.subarray(topicLength + 1));
  const frame = read(reader, topicLength === 0);
  const isWhole = !reader.failed && reader.isAtEnd;
  return isWhole ? frame : undefined;
}

function read(reader: Reader, toAll: boolean): Frame | undefined {
  switch (reader.byte()) {
    case BATCH: {
      const stream = reader.number();
      const first = reader.number();
      const envelopes: Buffer[] = [];
      while (!reader.failed && !reader.isAtEnd) {
        if (envelopes.length === MAX_ENVELOPES) return undefined;
        envelopes.push(reader.bytes());
      }
      return { kind: "batch", toAll, stream, first, envelopes };
    }
    case BEAT:
      if (toAll) return undefined;
      return {
        kind: "beat",
        stream: reader.number(),
        next: reader.number(),
        streamToAll: reader.number(),
        nextToAll: reader.number(),
        heard: reader.number(),
        expected: reader.number(),
        asks: reader.byte() === 1,
      };
  }
  return undefined;
}

function writeTopic(writer: Writer, topic: Buffer): void {
  for (const byte of topic) writer.byte(byte);
}

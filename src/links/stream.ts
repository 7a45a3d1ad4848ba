/**
 * A stream: the envelopes from one node to another, numbered from 0. The one end fills batches and knows how much is
 * not confirmed yet; the other notices what is missing. No sockets in here.
 */
import { randomInt } from "node:crypto";
import { Writer } from "./bytes.ts";
import { writeEnvelope } from "./envelope.ts";
import { beginBatch, MAX_ENVELOPES } from "./frame.ts";
import type { Envelope } from "./link.ts";

/** How much may be on its way to one node. A node that hangs costs its peers no more memory than this. */
export interface Window {
  bytes: number;
  batches: number;
}

export class OutgoingStream {
  /** Random, so that a sender that starts anew is told from one that goes on. Never 0. */
  readonly id: number = randomInt(1, 2 ** 48 - 1);
  readonly #topic: Buffer;
  readonly #window: Window;
  readonly #batch = new Writer();
  #inBatch = 0;
  #next = 0;
  #unconfirmed: { next: number; bytes: number }[] = [];
  #unconfirmedBytes = 0;

  constructor(topic: Buffer, window: Window) {
    this.#topic = topic;
    this.#window = window;
  }

  /** The number of the first envelope that is in no batch taken so far. */
  get next(): number {
    return this.#next;
  }

  /** Bytes that wait to be taken. */
  get waiting(): number {
    return this.#batch.length;
  }

  /** Adds an envelope to the batch; false, and nothing added, when the window is full. */
  push(envelope: Envelope): boolean {
    const { length } = this.#batch;
    if (this.#inBatch === MAX_ENVELOPES || this.#unconfirmed.length >= this.#window.batches) return false;
    if (length === 0) beginBatch(this.#batch, this.#topic, this.id, this.#next);
    const block = this.#batch.beginBlock();
    writeEnvelope(this.#batch, envelope);
    this.#batch.endBlock(block);
    if (this.#unconfirmedBytes + this.#batch.length > this.#window.bytes) {
      this.#batch.rewind(length);
      return false;
    }
    this.#inBatch += 1;
    return true;
  }

  /** The batch, a whole frame, to be sent now; undefined when nothing waits. */
  take(): Buffer | undefined {
    if (this.#inBatch === 0) return undefined;
    this.#next += this.#inBatch;
    this.#inBatch = 0;
    const frame = this.#batch.take();
    this.#unconfirmed.push({ next: this.#next, bytes: frame.length });
    this.#unconfirmedBytes += frame.length;
    return frame;
  }

  /** The other end expects `number` next: what came before is no longer on its way. */
  confirm(number: number): void {
    let count = 0;
    for (const { next, bytes } of this.#unconfirmed) {
      if (next > number) break;
      this.#unconfirmedBytes -= bytes;
      count += 1;
    }
    if (count > 0) this.#unconfirmed.splice(0, count);
  }
}

export class IncomingStream {
  #id = 0;
  #expected = 0;

  /** The stream that is heard; 0 before there was any. */
  get id(): number {
    return this.#id;
  }

  get expected(): number {
    return this.#expected;
  }

  /** Whether this stream is another than before. What came before `number` in it is then none of ours. */
  begin(id: number, number: number): boolean {
    if (id === this.#id) return false;
    this.#id = id;
    this.#expected = number;
    return true;
  }

  /** The stream has come to `number`: how many before it never arrived. */
  reach(number: number): number {
    const lost = Math.max(0, number - this.#expected);
    this.#expected += lost;
    return lost;
  }

  /** Whether the envelope with that number, which is here, is the expected one and not one that was here before. */
  accept(number: number): boolean {
    if (number !== this.#expected) return false;
    this.#expected += 1;
    return true;
  }
}

/**
 * The link with one peer, without its sockets: who hears whom, what is under way, what was lost.
 *
 * The handshake. PUB/SUB loses what is published before a subscription is in place, so nothing is sent to a peer
 * before it has said, over its own publisher, that it hears our stream. Beats say it: each names the sender's stream
 * and the stream of the receiver that the sender hears. The two are up for each other when each has heard that from
 * the other. The first beat of each goes out when the subscription of the other arrives here.
 *
 * Silence is counted in our own ticks and not by the clock: a node that was stopped itself does not blame its peers.
 */
import { readEnvelope } from "./envelope.ts";
import { decodeFrame, encodeBeat, type Batch, type Beat } from "./frame.ts";
import type { Envelope, LinkCounts, LinkEvents } from "./link.ts";
import { IncomingStream, OutgoingStream, type Window } from "./stream.ts";

export interface PeerLinkParts {
  readonly node: string;
  /** The topic of that node. */
  readonly topic: Buffer;
  /** Our stream to all nodes. */
  readonly toAll: OutgoingStream;
  readonly window: Window;
  /** How many ticks without a word make a peer silent. */
  readonly patience: number;
  readonly events: Pick<LinkEvents, "onEnvelope" | "onLoss" | "onPeer">;
  readonly counts: LinkCounts;
  /** Publishes a frame. */
  transmit(frame: Buffer): void;
}

export class PeerLink {
  readonly #parts: PeerLinkParts;
  readonly #ours: OutgoingStream;
  readonly #theirs = new IncomingStream();
  readonly #theirsToAll = new IncomingStream();
  #subscribed = false;
  #hearsUs = false;
  #isUp = false;
  #wasUp = false;
  #quietTicks = 0;
  #downTicks = 0;
  #bytesSinceBeat = 0;
  #batchesSinceBeat = 0;

  constructor(parts: PeerLinkParts) {
    this.#parts = parts;
    this.#ours = new OutgoingStream(parts.topic, parts.window);
  }

  /** Whether that node and this one hear each other. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Whether they ever did. */
  get wasUp(): boolean {
    return this.#wasUp;
  }

  /** Whether we hear that node. */
  get isHeard(): boolean {
    return this.#theirs.id !== 0 && this.#quietTicks < this.#parts.patience;
  }

  /** Ticks since the last word of that node. */
  get quietTicks(): number {
    return this.#quietTicks;
  }

  /** Ticks since they last heard each other. */
  get downTicks(): number {
    return this.#downTicks;
  }

  /** Bytes that wait for `flush`. */
  get waiting(): number {
    return this.#ours.waiting;
  }

  /** False, and nothing sent, when that node does not hear us or is too far behind. */
  push(envelope: Envelope): boolean {
    return this.#isUp && this.#ours.push(envelope);
  }

  flush(): void {
    const frame = this.#ours.take();
    if (frame) this.#parts.transmit(frame);
  }

  /** That node's subscription has arrived at our publisher, or is gone. */
  onSubscribed(subscribed: boolean): void {
    this.#subscribed = subscribed;
    if (!subscribed) this.#hearsUs = false;
    this.#settle();
    if (subscribed) this.#beat(!this.#isUp);
  }

  /** Bytes that arrived from that node. Never throws, whatever they are. */
  onFrame(bytes: Buffer): void {
    const frame = decodeFrame(bytes);
    if (frame?.kind === "beat") this.#onBeat(frame);
    else if (frame?.kind === "batch") this.#onBatch(frame, bytes.length);
    else this.#parts.counts.malformed += 1;
  }

  /** To be called at a steady pace. */
  tick(): void {
    this.#quietTicks += 1;
    if (!this.isHeard) this.#hearsUs = false; // when it speaks again, it has to say anew that it hears us
    this.#settle();
    if (!this.#isUp) this.#downTicks += 1;
    this.#beat(!this.#isUp);
  }

  /** The link is over. */
  end(): void {
    this.onSubscribed(false);
  }

  #onBeat(beat: Beat): void {
    const news = this.#hear(beat.stream, beat.next);
    this.#noteLost(this.#theirs.reach(beat.next));
    if (!this.#theirsToAll.begin(beat.streamToAll, beat.nextToAll)) {
      this.#noteLost(this.#theirsToAll.reach(beat.nextToAll));
    }
    this.#hearsUs = beat.heard === this.#ours.id;
    if (this.#hearsUs) this.#ours.confirm(beat.expected);
    this.#settle();
    // Only news makes an answer ask in turn: two nodes that cannot agree must not chase each other at full speed.
    if (beat.asks || news) this.#beat(news && !this.#isUp);
  }

  #onBatch({ toAll, stream, first, envelopes }: Batch, bytes: number): void {
    const incoming = toAll ? this.#theirsToAll : this.#theirs;
    if (toAll) incoming.begin(stream, first);
    else if (this.#hear(stream, first)) this.#beat(!this.#isUp);
    this.#noteLost(incoming.reach(first));
    for (const [index, encoded] of envelopes.entries()) {
      if (!incoming.accept(first + index)) {
        this.#parts.counts.repeated += 1;
        continue;
      }
      const envelope = readEnvelope(encoded);
      if (envelope) this.#deliver(envelope);
      else this.#parts.counts.malformed += 1;
    }
    this.#bytesSinceBeat += bytes;
    this.#batchesSinceBeat += 1;
    const { window } = this.#parts;
    if (this.#bytesSinceBeat > window.bytes / 4 || this.#batchesSinceBeat > window.batches / 4) {
      this.#beat(!this.#isUp); // a receipt, before the sender has to wait for one
    }
  }

  /** A word of that node in its stream to us. Answers whether we did not hear this stream before. */
  #hear(stream: number, number: number): boolean {
    const heard = this.isHeard;
    this.#quietTicks = 0;
    const isOther = this.#theirs.begin(stream, number);
    if (isOther) {
      // It has started anew, so whatever it has said about hearing us is of the past.
      this.#hearsUs = false;
      this.#settle();
    }
    return isOther || !heard;
  }

  #settle(): void {
    const up = this.#subscribed && this.#hearsUs && this.isHeard;
    if (up === this.#isUp) return;
    this.#isUp = up;
    this.#wasUp ||= up;
    this.#downTicks = 0;
    const { node, events } = this.#parts;
    shield(() => events.onPeer(node, up));
  }

  /** Nobody would hear a beat before the subscription is there, so none is sent. */
  #beat(asks: boolean): void {
    if (!this.#subscribed) return;
    this.#bytesSinceBeat = 0;
    this.#batchesSinceBeat = 0;
    const { topic, toAll, transmit } = this.#parts;
    transmit(
      encodeBeat(topic, {
        stream: this.#ours.id,
        next: this.#ours.next,
        streamToAll: toAll.id,
        nextToAll: toAll.next,
        heard: this.isHeard ? this.#theirs.id : 0,
        expected: this.#theirs.expected,
        asks,
      }),
    );
  }

  #deliver(envelope: Envelope): void {
    const { node, events, counts } = this.#parts;
    counts.received += 1;
    shield(() => events.onEnvelope(node, envelope));
  }

  #noteLost(lost: number): void {
    if (lost === 0) return;
    const { node, events, counts } = this.#parts;
    counts.lost += lost;
    shield(() => events.onLoss(node, lost));
  }
}

/** An error of the one who listens must not stop the stream, and must not be swallowed: it is thrown by itself. */
export function shield(tell: () => void): void {
  try {
    tell();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

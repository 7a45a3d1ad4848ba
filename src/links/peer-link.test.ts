import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { BROADCAST, decodeFrame, encodeBeat, topicOf, type Beat } from "./frame.ts";
import { noCounts, type Envelope } from "./link.ts";
import { PeerLink } from "./peer-link.ts";
import { OutgoingStream } from "./stream.ts";

const WINDOW = { bytes: 4_000, batches: 8 };
const PATIENCE = 3;

/** One node's end of a link whose other end is in the same test. */
class End {
  readonly counts = noCounts();
  readonly toAll = new OutgoingStream(BROADCAST, { bytes: 1_000_000, batches: 1_000 });
  /** Frames published and not yet delivered. */
  wire: Buffer[] = [];
  /** Whether the other end's subscription is in place: what is published before is nowhere. */
  subscribed = false;
  /** Numbers that arrived, and how many were said to be lost. */
  heard: number[] = [];
  lost = 0;
  readonly peer: boolean[] = [];
  readonly log: string[] = [];
  readonly link: PeerLink;
  sent = 0;

  constructor(other: string) {
    this.link = new PeerLink({
      node: other,
      topic: topicOf(other)!,
      toAll: this.toAll,
      window: WINDOW,
      patience: PATIENCE,
      counts: this.counts,
      transmit: (frame) => this.publish(frame),
      events: {
        onEnvelope: (_from, envelope) => {
          const { epoch } = envelope as { epoch: number };
          this.heard.push(epoch);
          this.log.push(`heard ${epoch}`);
        },
        onLoss: (_from, lost) => {
          this.lost += lost;
          this.log.push(`lost ${lost}`);
        },
        onPeer: (_node, up) => this.peer.push(up),
      },
    });
  }

  publish(frame: Buffer): void {
    if (this.subscribed) this.wire.push(frame);
  }

  /** Sends the next number, in a batch of its own unless told otherwise; whether it was accepted. */
  send(flush = true): boolean {
    const accepted = this.link.push(numbered(this.sent));
    if (accepted) this.sent += 1;
    if (flush) this.link.flush();
    return accepted;
  }

  sendToAll(number: number): void {
    this.toAll.push(numbered(number));
    this.publish(this.toAll.take()!);
  }

  /** The other end's subscription arrives here, or is gone together with all that was under way. */
  connect(): void {
    this.subscribed = true;
    this.link.onSubscribed(true);
  }

  cut(): void {
    this.subscribed = false;
    this.wire = [];
    this.link.onSubscribed(false);
  }
}

const numbered = (epoch: number): Envelope => ({ kind: "takeover", session: "s", epoch });

function pair(): [End, End] {
  return [new End("b"), new End("a")];
}

function deliver(from: End, to: End): boolean {
  const frame = from.wire.shift();
  if (frame) to.link.onFrame(frame);
  return frame !== undefined;
}

/** Delivers until nothing is under way any more. Throws when the two chase each other. */
function settle(a: End, b: End): void {
  for (let steps = 0; deliver(a, b) || deliver(b, a); steps++) if (steps > 1_000) throw new Error("endless");
}

function linked(): [End, End] {
  const [a, b] = pair();
  a.connect();
  b.connect();
  settle(a, b);
  return [a, b];
}

describe("the handshake", () => {
  test("is done as soon as both subscriptions are in place, in either order, without waiting for a tick", () => {
    for (const order of [0, 1]) {
      const ends = pair();
      ends[order]!.connect();
      settle(...ends);
      expect(ends.map(({ link }) => link.isUp)).toEqual([false, false]);
      ends[1 - order]!.connect();
      settle(...ends);
      expect(ends.map(({ peer }) => peer)).toEqual([[true], [true]]);
    }
  });

  test("nothing is accepted for a peer that has not said that it hears us", () => {
    const [a, b] = pair();
    a.connect();
    expect(a.send()).toBe(false);
    settle(a, b);
    expect(a.send()).toBe(false);
    expect(b.send()).toBe(false);
    b.connect();
    settle(a, b);
    expect(a.send()).toBe(true);
    settle(a, b);
    expect(b.heard).toEqual([0]);
  });

  test("a first beat that was lost is made up for by the next tick", () => {
    const [a, b] = pair();
    a.connect();
    b.connect();
    a.wire = [];
    b.wire = [];
    a.link.tick();
    settle(a, b);
    expect([a.link.isUp, b.link.isUp]).toEqual([true, true]);
  });

  test("two ends that cannot agree do not chase each other", () => {
    const [a, b] = pair();
    a.subscribed = true; // what A publishes arrives, yet A never learns of the subscription
    b.connect();
    for (let i = 0; i < 5; i++) {
      a.link.tick();
      b.link.tick();
      settle(a, b);
    }
    expect([a.link.isUp, b.link.isUp]).toEqual([false, false]);
  });

  test("whoever asks again and again is answered, and is not asked in turn", () => {
    const [a, b] = pair();
    a.connect();
    const ask = { stream: 7, next: 0, streamToAll: 8, nextToAll: 0, heard: 0, expected: 0, asks: true };
    for (let i = 0; i < 3; i++) a.link.onFrame(encodeBeat(topicOf("a")!, ask));
    const asked = a.wire.map((frame) => (decodeFrame(frame) as Beat).asks);
    expect(asked).toEqual([true, true, false, false]); // at the subscription, at the news, and then no more
    expect(b.peer).toEqual([]);
  });

  test("hearing and not being heard is not up, on both sides", () => {
    const [a, b] = linked();
    b.wire = [];
    b.subscribed = false; // B's frames go nowhere, without anybody being told
    for (let i = 0; i < PATIENCE; i++) {
      a.link.tick();
      b.link.tick();
      settle(a, b);
    }
    expect(a.link.isHeard).toBe(false);
    expect(b.link.isHeard).toBe(true);
    expect([a.peer, b.peer]).toEqual([
      [true, false],
      [true, false],
    ]);
    expect(a.send()).toBe(false);
    expect(b.send()).toBe(false);
  });
});

describe("silence", () => {
  test("a peer that says nothing for as long as our patience lasts is down, and up again when it speaks", () => {
    const [a, b] = linked();
    for (let i = 0; i < PATIENCE - 1; i++) a.link.tick();
    expect(a.peer).toEqual([true]);
    a.link.tick();
    expect(a.peer).toEqual([true, false]);
    expect(a.link.downTicks).toBe(1);
    a.link.tick();
    expect(a.link.downTicks).toBe(2);
    settle(a, b);
    expect(a.peer).toEqual([true, false, true]);
    expect(a.link.downTicks).toBe(0);
    expect(b.peer.at(-1)).toBe(true);
  });

  test("a peer that was silent has to say anew that it hears us", () => {
    const [a, b] = linked();
    for (let i = 0; i < PATIENCE; i++) a.link.tick();
    a.wire = []; // and B did not hear us meanwhile
    b.send();
    deliver(b, a);
    expect(a.heard).toEqual([0]);
    a.link.tick();
    expect(a.link.isUp).toBe(false);
    settle(a, b);
    expect(a.link.isUp).toBe(true);
  });

  test("a subscription that is gone is noticed at once", () => {
    const [a] = linked();
    a.cut();
    expect(a.peer).toEqual([true, false]);
    expect(a.send()).toBe(false);
  });
});

describe("streams", () => {
  test("a gap is told once, before what comes after it, with the right number", () => {
    const [a, b] = linked();
    a.send();
    a.send();
    a.send();
    a.wire.splice(0, 2);
    settle(a, b);
    expect(b.log).toEqual(["lost 2", "heard 2"]);
    expect(b.counts).toMatchObject({ lost: 2, received: 1 });
  });

  test("the loss of the last one is noticed at the next beat", () => {
    const [a, b] = linked();
    a.send();
    a.wire = [];
    a.link.tick();
    settle(a, b);
    expect(b.lost).toBe(1);
  });

  test("a batch that waits is not taken for lost", () => {
    const [a, b] = linked();
    a.send(false);
    a.link.tick();
    settle(a, b);
    a.link.flush();
    settle(a, b);
    expect([b.lost, b.heard]).toEqual([0, [0]]);
  });

  test("what comes again is dropped", () => {
    const [a, b] = linked();
    a.send();
    a.wire.push(a.wire.at(-1)!);
    settle(a, b);
    expect(b.heard).toEqual([0]);
    expect(b.counts).toMatchObject({ repeated: 1, lost: 0 });
  });

  test("a peer that starts anew is down and up again, numbered anew, and nothing counts as lost", () => {
    const [a, b] = linked();
    for (let i = 0; i < 5; i++) {
      a.send();
      b.send();
    }
    settle(a, b);
    const reborn = new End("a");
    a.connect(); // it subscribes before the death of the old one is noticed
    reborn.connect();
    settle(a, reborn);
    expect(a.peer).toEqual([true, false, true]);
    expect(reborn.link.isUp).toBe(true);
    reborn.send();
    a.send();
    settle(a, reborn);
    expect(a.heard.slice(5)).toEqual([0]);
    expect(reborn.heard).toEqual([5]);
    expect([a.lost, reborn.lost]).toEqual([0, 0]);
  });

  test("a peer that starts anew is told of even when it has heard us before it says its first word", () => {
    const [a] = linked();
    const reborn = new End("a");
    a.connect();
    expect(deliver(a, reborn)).toBe(true);
    reborn.connect();
    expect(deliver(reborn, a)).toBe(true);
    expect(a.peer).toEqual([true, false, true]);
  });

  test("a receiver that does not read stops the sender, and lets it go on when it does", () => {
    const [a, b] = linked();
    let accepted = 0;
    while (a.send()) accepted += 1;
    expect(accepted).toBe(WINDOW.batches);
    settle(a, b);
    expect(b.heard).toHaveLength(accepted);
    // The receipt came by itself, after a part of the window, without a tick.
    expect(a.send()).toBe(true);
  });

  test("what is sent to all has its own numbers and its own gaps", () => {
    const [a, b] = linked();
    a.sendToAll(100);
    a.send();
    a.sendToAll(101);
    settle(a, b);
    expect(b.heard).toEqual([100, 0, 101]);
    a.sendToAll(102);
    a.wire.pop();
    a.link.tick();
    settle(a, b);
    expect(b.lost).toBe(1);
  });

  test("an envelope of a kind we do not know takes its number and nothing else", () => {
    const [a, b] = linked();
    a.link.push({ kind: "takeover", session: "of a name", epoch: 7 });
    a.link.flush();
    const frame = a.wire.at(-1)!;
    // The kind stands before the length of the name.
    const name = frame.indexOf("of a name");
    const kind = frame.lastIndexOf(3, name);
    expect(name - kind).toBeLessThanOrEqual(5);
    frame[kind] = 200;
    a.send();
    settle(a, b);
    expect(b.heard).toEqual([0]);
    expect(b.counts).toMatchObject({ malformed: 1, lost: 0 });
  });

  test("an error of the listener stops nothing, and is not swallowed", () => {
    const [a, b] = linked();
    const thrown: unknown[] = [];
    vi.spyOn(globalThis, "queueMicrotask").mockImplementation((task) => {
      try {
        task();
      } catch (error) {
        thrown.push(error);
      }
    });
    vi.spyOn(b.heard, "push").mockImplementationOnce(() => {
      throw new Error("a bug");
    });
    a.send();
    a.send();
    settle(a, b);
    vi.restoreAllMocks();
    expect(thrown).toEqual([new Error("a bug")]);
    expect(b.heard).toEqual([1]);
  });
});

test("hostile frames of a peer change nothing but a count", () => {
  const [a, b] = linked();
  const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.concat([topicOf("b")!, bytes]));
  fc.assert(
    fc.property(noise, (bytes) => {
      b.link.onFrame(bytes);
    }),
  );
  const { toAll } = a;
  const beat = {
    stream: 2 ** 48 - 1,
    next: 2 ** 48 - 1,
    streamToAll: 0,
    nextToAll: 0,
    heard: 1,
    expected: 2 ** 48 - 1,
    asks: true,
  };
  b.link.onFrame(encodeBeat(topicOf("b")!, beat));
  b.link.onFrame(
    encodeBeat(topicOf("b")!, { ...beat, heard: 0, streamToAll: toAll.id, nextToAll: 2 ** 48 - 1 }),
  );
  b.wire = [];
  // The real peer speaks again, and all is well.
  a.link.tick();
  settle(a, b);
  b.link.tick();
  settle(a, b);
  expect([a.link.isUp, b.link.isUp]).toEqual([true, true]);
  expect(b.counts.malformed).toBeGreaterThan(0);
});

describe("whatever happens on the way", () => {
  type Step =
    | { do: "send"; end: 0 | 1; flush: boolean }
    | { do: "deliver" | "drop" | "repeat"; end: 0 | 1 }
    | { do: "tick" | "cut" | "connect" | "restart"; end: 0 | 1 };
  const end = fc.constantFrom(0 as const, 1 as const);
  const step = (restarts: boolean): fc.Arbitrary<Step> =>
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("send" as const), end, flush: fc.boolean() }) },
      { weight: 6, arbitrary: fc.record({ do: fc.constant("deliver" as const), end }) },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constantFrom(
            "drop" as const,
            "repeat" as const,
            "tick" as const,
            "cut" as const,
            "connect" as const,
          ),
          end,
        }),
      },
      { weight: restarts ? 1 : 0, arbitrary: fc.record({ do: fc.constant("restart" as const), end }) },
    );

  function run(steps: readonly Step[], onRestart: (end: End) => void = () => {}): [End, End] {
    const ends = linked();
    for (const step of steps) {
      const sender = ends[step.end]!;
      const receiver = ends[1 - step.end]!;
      switch (step.do) {
        case "send":
          sender.send(step.flush);
          break;
        case "deliver":
          deliver(sender, receiver);
          break;
        case "drop":
          sender.wire.shift();
          break;
        case "repeat": {
          const [first] = sender.wire;
          if (first) sender.wire.unshift(first);
          break;
        }
        case "tick":
          sender.link.tick();
          break;
        case "cut":
          if (sender.subscribed) sender.cut();
          break;
        case "connect":
          sender.connect();
          break;
        case "restart":
          onRestart(sender);
          sender.link.end();
          receiver.cut();
          ends[step.end] = new End(step.end === 0 ? "b" : "a");
          ends[step.end]!.sent = sender.sent + 1_000;
          break;
      }
    }
    // In the end all is well again, and every node says where its streams are.
    for (const one of ends) {
      one.link.flush();
      one.connect();
    }
    for (let i = 0; i < PATIENCE + 2; i++) {
      for (const one of ends) one.link.tick();
      settle(...ends);
    }
    return ends;
  }

  const isIncreasing = (numbers: readonly number[]): boolean =>
    numbers.every((n, i) => i === 0 || n > numbers[i - 1]!);

  test("every envelope arrives in order or is told to be lost, and none twice", () => {
    fc.assert(
      fc.property(fc.array(step(false), { maxLength: 120 }), (steps) => {
        const [a, b] = run(steps);
        for (const [sender, receiver] of [
          [a, b],
          [b, a],
        ] as const) {
          expect(isIncreasing(receiver.heard)).toBe(true);
          expect(receiver.heard.length + receiver.lost).toBe(sender.sent);
          expect(receiver.counts.lost).toBe(receiver.lost);
        }
        expect([a.link.isUp, b.link.isUp]).toEqual([true, true]);
      }),
      { numRuns: 1_000 },
    );
  });

  test("nothing is lost when nothing is dropped", () => {
    const calm = step(false).filter(
      ({ do: what }) => what !== "drop" && what !== "cut" && what !== "connect",
    );
    fc.assert(
      fc.property(fc.array(calm, { maxLength: 120 }), (steps) => {
        const [a, b] = run(steps);
        expect([a.lost, b.lost]).toEqual([0, 0]);
        expect([a.heard.length, b.heard.length]).toEqual([b.sent, a.sent]);
      }),
      { numRuns: 500 },
    );
  });

  test("with restarts, order holds, nothing comes twice, and both find each other again", () => {
    fc.assert(
      fc.property(fc.array(step(true), { maxLength: 120 }), (steps) => {
        const ended: End[] = [];
        const ends = run(steps, (end) => ended.push(end));
        for (const end of [...ended, ...ends]) expect(isIncreasing(end.heard)).toBe(true);
        expect(ends.map(({ link }) => link.isUp)).toEqual([true, true]);
      }),
      { numRuns: 1_000 },
    );
  });
});

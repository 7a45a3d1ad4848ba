/** The links between the nodes of the simulation: in order within a stream, in any order between streams, with loss. */
import { noLink } from "../../links/no-link.ts";
import type { Envelope, Link, LinkEvents } from "../../links/link.ts";
import type { Chance } from "./chance.ts";
import type { Process } from "./process.ts";
import type { Timeline } from "./timeline.ts";

/** How long until a broken link, or a loss on a quiet one, is noticed at the latest. */
const NOTICE_MS = 3_000;

interface End {
  process: Process;
  events: LinkEvents;
}
/** One way between two nodes. */
interface Stream {
  /** Of envelopes that were sent: how many, and how many of them have arrived or are known to be lost. */
  sent: number;
  settled: number;
  lastArrival: number;
  cut: boolean;
  /** How often it was cut: what was under way then never arrives. */
  cuts: number;
  /** Whether the sender knows that it is cut. */
  known: boolean;
}

export class Links {
  /** One way, in ms, and how likely an envelope is lost. */
  weather = { least: 0.05, most: 2, loses: 0 };
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #ends = new Map<string, End>();
  readonly #streams = new Map<string, Stream>();

  constructor(timeline: Timeline, chance: Chance) {
    this.#timeline = timeline;
    this.#chance = chance;
  }

  join(node: string, process: Process, events: () => LinkEvents): Link {
    const end: End = {
      process,
      events: {
        onEnvelope: (from, envelope) => events().onEnvelope(from, envelope),
        onLoss: (from, lost) => events().onLoss(from, lost),
        onPeer: (peer, up) => events().onPeer(peer, up),
      },
    };
    this.#ends.set(node, end);
    return {
      ...noLink(node),
      send: (to, envelope) => this.#send(node, to, envelope),
      peers: () =>
        [...this.#ends.keys()]
          .filter((to) => to !== node)
          .map((to) => ({
            node: to,
            endpoint: "",
            state: this.#stream(node, to).known ? "lost" : "up",
            why: "",
          })),
      broadcast: (envelope) =>
        [...this.#ends.keys()].filter((to) => to !== node && this.#send(node, to, envelope)).length > 0,
    };
  }

  /** The node is dead: the others notice, and what it had sent arrives or does not. */
  leave(node: string): void {
    this.#ends.delete(node);
    for (const [other, { process, events }] of this.#ends) {
      const stream = this.#stream(other, node);
      cutOff(stream);
      this.#timeline.after(this.#chance.between(0, NOTICE_MS), () => {
        stream.known = true;
        process.input(() => events.onPeer(node, false));
      });
      if (this.#chance.happens(0.5)) cutOff(this.#stream(node, other));
    }
  }

  get isCut(): boolean {
    return [...this.#streams].some(
      ([name, { cut }]) => cut && name.split(">").every((node) => this.#ends.has(node)),
    );
  }

  cut(a: string, b: string): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const stream = this.#stream(from, to);
      cutOff(stream);
      this.#timeline.after(this.#chance.between(0, NOTICE_MS), () => {
        if (!stream.cut) return;
        stream.known = true;
        this.#input(from, ({ onPeer }) => onPeer(to, false));
      });
    }
  }

  heal(): void {
    for (const [name, stream] of this.#streams) {
      const [from, to] = name.split(">") as [string, string];
      if (!stream.cut || !this.#ends.has(from) || !this.#ends.has(to)) continue;
      stream.cut = false;
      if (stream.known) {
        stream.known = false;
        this.#input(from, ({ onPeer }) => onPeer(to, true));
      }
      this.#beat(from, to);
    }
  }

  #send(from: string, to: string, envelope: Envelope): boolean {
    const stream = this.#stream(from, to);
    if (stream.known || (!this.#ends.has(to) && !stream.cut)) return false;
    const number = stream.sent++;
    if (!stream.cut && !this.#chance.happens(this.weather.loses)) this.#carry(from, to, number, envelope);
    else this.#timeline.after(NOTICE_MS, () => this.#beat(from, to));
    return true;
  }

  /** A heartbeat says how many envelopes there were: so a loss is noticed also where no other envelope follows. */
  #beat(from: string, to: string): void {
    this.#carry(from, to, this.#stream(from, to).sent);
  }

  #carry(from: string, to: string, number: number, envelope?: Envelope): void {
    const stream = this.#stream(from, to);
    const { cuts } = stream;
    const { least, most } = this.weather;
    stream.lastArrival = Math.max(stream.lastArrival, this.#timeline.now + this.#chance.between(least, most));
    this.#timeline.at(stream.lastArrival, () => {
      if (stream.cut || stream.cuts !== cuts) return;
      const lost = number - stream.settled;
      stream.settled = envelope ? number + 1 : number;
      if (lost > 0) this.#input(to, ({ onLoss }) => onLoss(from, lost));
      if (envelope) this.#input(to, ({ onEnvelope }) => onEnvelope(from, envelope));
    });
  }

  #input(node: string, what: (events: LinkEvents) => void): void {
    const end = this.#ends.get(node);
    end?.process.input(() => what(end.events));
  }

  #stream(from: string, to: string): Stream {
    const name = `${from}>${to}`;
    let stream = this.#streams.get(name);
    if (!stream) {
      stream = { sent: 0, settled: 0, lastArrival: 0, cut: false, cuts: 0, known: false };
      this.#streams.set(name, stream);
    }
    return stream;
  }
}

function cutOff(stream: Stream): void {
  stream.cut = true;
  stream.cuts += 1;
}

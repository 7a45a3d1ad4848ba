import { DEFAULT_RULES } from "../../matching/rules.ts";
import { readWish } from "../../matching/wish.ts";
import type { NodeLog, NodeMetrics, NodeRules } from "../../node/contracts.ts";
import { Node } from "../../node/node.ts";
import { HEARTBEAT_MS, STATUS_MS } from "../../protocol/limits.ts";
import type { Chance } from "./chance.ts";
import type { Journal } from "./journal.ts";
import type { Links } from "./links.ts";
import { Process } from "./process.ts";
import type { Store } from "./store.ts";
import type { Timeline } from "./timeline.ts";

const UNLIMITED = { burst: 1e9, perSecond: 1e9 };
const RULES: NodeRules = {
  grace: DEFAULT_RULES.grace,
  maxSessions: 1_000,
  heartbeat: HEARTBEAT_MS,
  status: STATUS_MS,
  renew: 1_000,
  lease: DEFAULT_RULES.lease,
  rates: { find: UNLIMITED, signal: UNLIMITED, other: UNLIMITED },
  addressRates: { connections: UNLIMITED, sessions: UNLIMITED, finds: UNLIMITED },
};
/** No two clocks agree. */
const MOST_SKEW_MS = 60_000;

export interface Surroundings {
  timeline: Timeline;
  chance: Chance;
  journal: Journal;
  store: Store;
  links: Links;
}

/** A node as it really is, and what it runs in. */
export class Member {
  readonly id: string;
  readonly node: Node;
  readonly process: Process;
  /** Since when, while it is paused. */
  pausedAt: number | undefined;
  readonly #timeline: Timeline;

  constructor(id: string, { timeline, chance, journal, store, links }: Surroundings) {
    this.id = id;
    this.#timeline = timeline;
    this.process = new Process(timeline, chance.between(-MOST_SKEW_MS, MOST_SKEW_MS));
    this.node = new Node({
      id,
      matcher: store.connect(this.process),
      link: links.join(id, this.process, () => this.node),
      registry: { announce: async () => {}, look: async () => [], remove: async () => {} },
      store: { ready: true },
      ice: { policy: "all", servers: () => [] },
      reports: { add: async () => true },
      metrics: counting(journal),
      log: NO_LOG,
      clock: this.process.clock,
      random: (bytes) => chance.bytes(bytes),
      wallClock: () => timeline.now,
      readWish,
      rules: RULES,
      settings: {},
    });
    void this.node.start();
  }

  get isPaused(): boolean {
    return this.process.state === "paused";
  }

  pause(): void {
    this.process.state = "paused";
    this.pausedAt = this.#timeline.now;
  }

  goOn(timersFirst: boolean): void {
    this.pausedAt = undefined;
    this.process.goOn(timersFirst);
  }

  die(): void {
    this.process.state = "dead";
  }
}

function counting(journal: Journal): NodeMetrics {
  return {
    matched: () => journal.count("matched"),
    undone: () => journal.count("undone"),
    passedOver: () => {},
    relaxed: (what) => journal.count(`relaxed ${what}`),
    signalRelayed: (route) => journal.count(`signals ${route}`),
    heldDropped: () => journal.count("signals dropped"),
    refused: (what) => journal.count(`refused ${what}`),
    reported: () => journal.count("reported"),
    called: () => {},
    resumed: (from) => journal.count(`resumed ${from}`),
    storeFailed: (call) => journal.count(`failed ${call}`),
    linkLost: (lost) => journal.count("envelopes lost", lost),
  };
}

const NO_LOG: NodeLog = { debug() {}, info() {}, warn() {}, error() {} };

/** What the supervisor and a worker say to each other, over the channel that Node opens between parent and child. */
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { Config } from "../config/options.ts";
import type { SharedRelay } from "../relay/embedded-relay.ts";
import type { Shown } from "../tls/certificate.ts";

/** What one worker runs with. Never on a command line: there are secrets in it. */
export interface Orders {
  readonly kind: "serve" | "join";
  readonly config: Config;
  readonly share: Share;
}

/** What tells one worker from the others, and what they have in common. */
export interface Share {
  /** Counted from 0. */
  readonly worker: number;
  /** The id of the node that it is. */
  readonly node: string;
  /** The node that this worker was in its last life. It is dead for sure, so nobody need wait for its lease to run out. */
  readonly before?: string;
  /** The port that all workers listen on; never 0. */
  readonly port: number;
  /** The socket of the Redis that the supervisor runs; undefined when the configuration names another one. */
  readonly redis?: string;
  readonly link: {
    /** Where this worker's publisher listens: `ipc://path` or `tcp://host:port`. */
    readonly listen: string;
    /** Where it listens for the other workers too, beside theirs: `ipc://…`; undefined when `listen` is good for them. */
    readonly local?: string;
    readonly secret: string;
  };
  /** The relay that the supervisor runs, as it was at the start; undefined where there is none. */
  readonly relay?: SharedRelay;
}

/** What a worker has found out at its start. */
export interface Opened {
  /** The address that it listens on. */
  readonly host: string;
  /** What HTTPS shows; undefined where it is off. */
  readonly certificate?: Shown;
}

/** The metrics of one process, as prom-client hands them out and takes them. */
export type Metrics = MetricObjectWithValues<MetricValue<string>>[];

/** A scrape as it is answered. */
export interface Scraped {
  readonly contentType: string;
  readonly text: string;
}

export type ToWorker =
  | { readonly type: "start"; readonly orders: Orders }
  /** Drain and end. */
  | { readonly type: "stop" }
  | { readonly type: "collect" }
  /** The relay has moved. */
  | { readonly type: "relay"; readonly relay: SharedRelay }
  /** The answer to `scrape`. */
  | ({ readonly type: "scraped"; readonly scrape: number } & Scraped);

export type FromWorker =
  /** It can serve. */
  | ({ readonly type: "up" } & Opened)
  /** It cannot start; the message is for people. It ends now. */
  | { readonly type: "refused"; readonly message: string; readonly exitCode: 1 | 2 }
  /** Somebody asked it for the metrics of all. */
  | { readonly type: "scrape"; readonly scrape: number }
  /** The answer to `collect`. */
  | { readonly type: "metrics"; readonly metrics: Metrics }
  /** Said at every beat: its event loop turns. */
  | { readonly type: "alive" };

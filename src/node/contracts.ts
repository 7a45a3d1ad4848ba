/** What a node needs from the rest of the program, as contracts: `app.ts` gives it the implementations. */
import type { Clock } from "../clock.ts";
import type { Link } from "../links/link.ts";
import type { Registry } from "../links/registry.ts";
import type { Matcher } from "../matching/matcher.ts";
import type {
  Find as FindMessage,
  IceServer,
  Mode,
  Quality,
  Relaxation,
  ReportReason,
  Settings,
} from "../protocol/messages.ts";
import type { PassedOver, Wish } from "../session/match.ts";
import type { AddressRates } from "./addresses.ts";
import type { Came } from "./came.ts";
import type { ConnectionRates } from "./connection.ts";

/** STUN and TURN servers for a session, with credentials that are its own where the servers want some. */
export interface Ice {
  readonly policy: "all" | "relay";
  servers(session: string, came?: Came): IceServer[];
  /** After so many ms at the latest connected visitors are given fresh ones; undefined where they are good for ever. */
  readonly renewEvery?: number;
  /** Where those are that may move. When it says something else, connected visitors are told with their next status. */
  whereabouts?(): string;
}

export interface StoredReport {
  pair: string;
  reason: ReportReason;
  details?: string;
  /** Who reports whom, as device hashes. */
  reporterDevice: string;
  reportedDevice: string;
  /** Milliseconds since the Unix epoch. */
  at: number;
}

/** Where reports go: one of each side of a pair. */
export interface Reports {
  /** Resolves once the report will outlive a restart; false when that side had reported the pair before. */
  add(report: StoredReport): Promise<boolean>;
}

/** The store that the nodes share, as far as readiness is concerned. */
export interface Store {
  /** Whether it can be asked now. */
  readonly ready: boolean;
}

export type Refusal =
  | "rate_limited"
  | "invalid_message"
  | "unknown_type"
  | "flooding"
  | "too_slow"
  | "too_many_sessions";

/** What is counted. Every method is called on hot paths and must be cheap. */
export interface NodeMetrics {
  matched(mode: Mode, waitedMs: number, partnerWaitedMs: number): void;
  undone(): void;
  passedOver(passed: PassedOver): void;
  relaxed(what: Relaxation): void;
  signalRelayed(route: "local" | "link"): void;
  heldDropped(): void;
  refused(what: Refusal): void;
  reported(): void;
  called(quality: Quality): void;
  resumed(from: "here" | "elsewhere"): void;
  storeFailed(call: string): void;
  linkLost(messages: number): void;
}

export interface NodeLog {
  debug(what: object, message: string): void;
  info(what: object, message: string): void;
  warn(what: object, message: string): void;
  error(what: object, message: string): void;
}

/** The operator's numbers, in ms where they are times. */
export interface NodeRules {
  grace: number;
  maxSessions: number;
  heartbeat: number;
  status: number;
  renew: number;
  /** How long a lease lasts. */
  lease: number;
  rates: ConnectionRates;
  addressRates: AddressRates;
}

export interface NodeParts {
  /** Random for each process. */
  id: string;
  matcher: Matcher;
  link: Link;
  registry: Registry;
  store: Store;
  ice: Ice;
  reports: Reports;
  metrics: NodeMetrics;
  log: NodeLog;
  clock: Clock;
  /** That many random bytes. */
  random(bytes: number): Uint8Array;
  /** Milliseconds since the Unix epoch. */
  wallClock(): number;
  readWish(find: FindMessage): { wish: Wish } | { field: string; message: string };
  rules: NodeRules;
  settings: Settings;
  /** A visitor is turned away because there are as many sessions as may be. */
  onFull?(): void;
}

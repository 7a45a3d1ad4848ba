/** Prometheus metrics: what protocol.md names, and why searches took as long as they did. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { NodeMetrics } from "../node/contracts.ts";
import { CALL_OUTCOMES } from "../protocol/messages.ts";
import { ALLOCATIONS, noRefusals, REFUSAL_CAUSES, REFUSED, TURNED_AWAY } from "../relay/counts.ts";
import type { NotForwarded } from "../relay/forward.ts";
import type { RelayNumbers } from "../relay/use.ts";
import type { Dropped } from "../tls/shared-port.ts";

export interface Numbers {
  connections: number;
  sessions: number;
  waiting: number;
  pairedSessions: number;
}

/** What HTTPS adds, asked at each scrape. */
export interface HttpsNumbers {
  /** Connections that have not said yet what they want. */
  arrivals: number;
  /** Until when the certificate is valid, in ms since the Unix epoch. */
  certificateUntil: number;
}

/** How the last test of a STUN or TURN server went. */
export interface TestedServer {
  url: string;
  outcome: "works" | "limited" | "fails";
  ms: number;
}

export interface Metrics extends NodeMetrics {
  /** A connection was closed before anything was asked on it. */
  dropped(reason: Dropped | "full"): void;
  watchHttps(numbers: () => HttpsNumbers): void;
  watchRelayTest(servers: () => readonly TestedServer[]): void;
  watchRelay(numbers: RelayNumbers): void;
  /** A connection of the shared port was handed to the relay. */
  forwarded(): void;
  notForwarded(why: NotForwarded): void;
  /** The same in the form that prom-client adds up. */
  collect(): Promise<MetricObjectWithValues<MetricValue<string>>[]>;
  text(): Promise<{ contentType: string; text: string }>;
}

/** `numbers` is asked at each scrape. */
export function createMetrics(numbers: () => Numbers): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const gaugeOf =
    <N>(numbers: () => N) =>
    (name: string, help: string, value: (numbers: N) => number, aggregator: "sum" | "min" = "sum") =>
      new Gauge({
        name,
        help,
        registers,
        aggregator,
        collect() {
          this.set(value(numbers()));
        },
      });
  const gauge = gaugeOf(numbers);
  gauge("chatrandom_connections", "WebSockets open on this node", (n) => n.connections);
  gauge("chatrandom_sessions", "Sessions held by this node, absent ones included", (n) => n.sessions);
  gauge(
    "chatrandom_sessions_waiting",
    "Sessions of this node that wait for a partner, absent ones not included",
    (n) => n.waiting,
  );
  gauge(
    "chatrandom_pairs_active",
    "Pairs, counted as half of the paired sessions of this node",
    (n) => n.pairedSessions / 2,
  );

  const counter = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const matches = counter("chatrandom_matches_total", "Matches made by this node", ["mode"]);
  const wait = new Histogram({
    name: "chatrandom_match_wait_seconds",
    help: "How long visitors waited for their match",
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300],
    registers,
  });
  const undone = counter(
    "chatrandom_matches_undone_total",
    "Matches taken back because a side was not reached",
  );
  const passedOver = counter(
    "chatrandom_candidates_passed_over_total",
    "Tickets that were not taken, by reason",
    ["reason"],
  );
  const relaxations = counter("chatrandom_relaxations_total", "Preferences that gave way", ["what"]);
  const signals = counter("chatrandom_signals_relayed_total", "Signals relayed, by the way they took", [
    "route",
  ]);
  const heldDropped = counter(
    "chatrandom_held_signals_dropped_total",
    "Signals for absent visitors beyond the bound",
  );
  const refused = counter(
    "chatrandom_refused_total",
    "Messages, sessions and connections refused, by reason",
    ["reason"],
  );
  const reports = counter("chatrandom_reports_total", "Reports stored");
  const calls = counter("chatrandom_calls_total", "Calls as pages saw them, one for each side that told", [
    "outcome",
    "cause",
  ]);
  const candidates = counter(
    "chatrandom_call_candidates_total",
    "Ways that calls took at last, as each side saw its own",
    ["local", "remote", "transport"],
  );
  const firstFrame = new Histogram({
    name: "chatrandom_call_first_frame_seconds",
    help: "From the match to the stranger's first picture",
    buckets: [0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60],
    registers,
  });
  const interrupted = counter(
    "chatrandom_calls_interrupted_total",
    "Calls that broke at least once, by whether they went on another kind of way",
    ["moved"],
  );
  const resumes = counter("chatrandom_resumes_total", "Sessions resumed, by where they were held", ["from"]);
  const storeErrors = counter("chatrandom_store_errors_total", "Calls that Redis did not answer", ["call"]);
  const linkLost = counter(
    "chatrandom_link_messages_lost_total",
    "Messages of other nodes that never arrived",
  );
  // Present from the start, so that a rate over them is not blind to the first one.
  const dropped = counter(
    "chatrandom_connections_dropped_total",
    "Connections closed before anything was asked on them, by reason",
    ["reason"],
  );
  const forwarded = counter(
    "chatrandom_relay_streams_total",
    "Connections of the shared port that were handed to the relay",
  );
  const notForwarded = counter(
    "chatrandom_relay_streams_refused_total",
    "Connections of the shared port that were not handed to the relay, by reason",
    ["reason"],
  );
  for (const route of ["local", "link"]) signals.inc({ route }, 0);
  for (const mode of ["video", "text"]) matches.inc({ mode }, 0);
  for (const outcome of CALL_OUTCOMES) calls.inc({ outcome, cause: "none" }, 0);

  const local = signals.labels("local");
  const link = signals.labels("link");
  return {
    matched(mode, waitedMs, partnerWaitedMs) {
      matches.inc({ mode });
      wait.observe(waitedMs / 1000);
      wait.observe(partnerWaitedMs / 1000);
    },
    undone: () => undone.inc(),
    passedOver(passed) {
      for (const [reason, count] of Object.entries(passed)) if (count > 0) passedOver.inc({ reason }, count);
    },
    relaxed: (what) => relaxations.inc({ what }),
    signalRelayed: (route) => (route === "local" ? local : link).inc(),
    heldDropped: () => heldDropped.inc(),
    refused: (reason) => refused.inc({ reason }),
    reported: () => reports.inc(),
    called({ outcome, cause = "none", way, firstFrame: ms, interrupted: broke, moved = false }) {
      calls.inc({ outcome, cause });
      if (way) candidates.inc({ ...way });
      if (ms !== undefined) firstFrame.observe(ms / 1000);
      if (broke) interrupted.inc({ moved: String(moved) });
    },
    resumed: (from) => resumes.inc({ from }),
    storeFailed: (call) => storeErrors.inc({ call }),
    linkLost: (messages) => linkLost.inc(messages),
    dropped: (reason) => dropped.inc({ reason }),
    forwarded: () => forwarded.inc(),
    notForwarded: (reason) => notForwarded.inc({ reason }),
    watchRelay({ isUp, counts, streams }) {
      const gauge = (
        name: string,
        help: string,
        aggregator: "sum" | "min",
        value: () => number | Promise<number>,
      ) =>
        new Gauge({
          name,
          help,
          registers,
          aggregator,
          async collect() {
            this.set(await value());
          },
        });
      // Workers have one relay, of which each tells, and connections of their own.
      gauge("chatrandom_relay_up", "Whether the relay answers", "min", async () => Number(await isUp()));
      if (counts) {
        gauge(ALLOCATIONS.name, ALLOCATIONS.help, "sum", async () => (await counts()).allocations);
        const told = noRefusals();
        new Counter({
          ...TURNED_AWAY,
          registers,
          async collect() {
            const { turnedAway } = await counts();
            this.inc(turnedAway - told.turnedAway);
            told.turnedAway = turnedAway;
          },
        });
        new Counter({
          ...REFUSED,
          labelNames: ["cause"],
          registers,
          async collect() {
            const { refused } = await counts();
            for (const cause of REFUSAL_CAUSES) this.inc({ cause }, refused[cause] - told.refused[cause]);
            told.refused = { ...refused };
          },
        });
      }
      gauge(
        "chatrandom_relay_streams",
        "Connections of the shared port that are handed to the relay",
        "sum",
        streams,
      );
    },
    watchHttps(numbers) {
      const gauge = gaugeOf(numbers);
      gauge("chatrandom_arrivals", "Connections that have not said yet what they want", (n) => n.arrivals);
      gauge(
        "chatrandom_certificate_expires_seconds",
        "Until when the certificate is valid, in seconds since the Unix epoch",
        (n) => n.certificateUntil / 1000,
        "min",
      );
    },
    watchRelayTest(servers) {
      const gauge = (
        name: string,
        help: string,
        aggregator: "min" | "max",
        value: (server: TestedServer) => number,
      ) =>
        new Gauge({
          name,
          help,
          labelNames: ["url"],
          registers,
          aggregator,
          collect() {
            // What is tested no more would look for ever as it did last.
            this.reset();
            for (const server of servers()) this.set({ url: server.url }, value(server));
          },
        });
      gauge(
        "chatrandom_relay_test_ok",
        "Whether the last test of a STUN or TURN server succeeded",
        "min",
        (server) => (server.outcome === "fails" ? 0 : 1),
      );
      gauge("chatrandom_relay_test_seconds", "How long it took", "max", ({ ms }) => ms / 1000);
    },
    collect: () => registry.getMetricsAsJSON(),
    text: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

/**
 * The metrics of all workers as one scrape. What only ever grows must not shrink because a worker died or does not
 * answer, or whoever computes a rate would count all the rest again: so what the dead had counted is kept, and a worker
 * that is silent counts with what it said last.
 */
import { AggregatorRegistry } from "prom-client";
import { ALLOCATIONS, REFUSED, type RelayCounts, TURNED_AWAY } from "../relay/counts.ts";
import type { Metrics, Scraped } from "./messages.ts";

/** What the supervisor counts itself. */
export interface Workforce {
  readonly workers: number;
  readonly answered: number;
  readonly restarts: number;
  /** Of the relay that all workers share, if there is one. */
  readonly relay?: RelayCounts;
}

export class Sums {
  readonly #latest = new Map<object, Metrics>();
  #ofTheDead: Metrics = [];

  /** What a process said; `life` stands for the process, from its start to its end. */
  said(life: object, metrics: Metrics): void {
    this.#latest.set(life, metrics);
  }

  ended(life: object): void {
    const last = this.#latest.get(life);
    if (!last) return;
    this.#latest.delete(life);
    const merged = AggregatorRegistry.aggregate([this.#ofTheDead, growing(last)]);
    this.#ofTheDead = merged.getMetricsAsArray() as unknown as Metrics;
  }

  /** `present` are those who have answered just now; of the others only what grows is counted. */
  async scraped(present: ReadonlySet<object>, workforce: Workforce): Promise<Scraped> {
    const lives = [...this.#latest].map(([life, metrics]) =>
      present.has(life) ? metrics : growing(metrics),
    );
    const registry = AggregatorRegistry.aggregate([...lives, this.#ofTheDead, ownMetrics(workforce)]);
    return { contentType: registry.contentType, text: await registry.metrics() };
  }
}

/** prom-client gives the type of a metric as a word, whatever its declaration says. */
const growing = (metrics: Metrics): Metrics =>
  metrics.filter(({ type }) => ["counter", "histogram"].includes(type as unknown as string));

function ownMetrics({ workers, answered, restarts, relay }: Workforce): Metrics {
  const metric = (type: string, name: string, help: string, value: number | Metrics[number]["values"]) => {
    const values = typeof value === "number" ? [{ value, labels: {} }] : value;
    return { name, help, type, values, aggregator: "sum" } as unknown as Metrics[number];
  };
  const refusals = Object.entries(relay?.refused ?? {}).map(([cause, value]) => ({
    value,
    labels: { cause },
  }));
  return [
    metric("gauge", "chatrandom_workers", "Workers that there should be", workers),
    metric(
      "gauge",
      "chatrandom_workers_answered",
      "Workers whose numbers of now are in this scrape",
      answered,
    ),
    metric(
      "counter",
      "chatrandom_worker_restarts_total",
      "Workers that ended and were started again",
      restarts,
    ),
    ...(relay
      ? [
          metric("gauge", ALLOCATIONS.name, ALLOCATIONS.help, relay.allocations),
          metric("counter", TURNED_AWAY.name, TURNED_AWAY.help, relay.turnedAway),
          metric("counter", REFUSED.name, REFUSED.help, refusals),
        ]
      : []),
  ];
}

import { expect, test } from "vitest";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { noRefusals } from "../relay/counts.ts";
import { Sums } from "./sums.ts";

const WORKFORCE = { workers: 2, answered: 2, restarts: 0 };

/** One worker's metrics, as `http/metrics.ts` makes them. */
function worker() {
  const registry = new Registry();
  const registers = [registry];
  return {
    life: {},
    finds: new Counter({ name: "finds_total", help: "h", labelNames: ["mode"], registers }),
    open: new Gauge({ name: "open", help: "h", registers }),
    wait: new Histogram({ name: "wait_seconds", help: "h", buckets: [1, 2], registers }),
    // What goes from process to process is a copy.
    metrics: async () => structuredClone(await registry.getMetricsAsJSON()),
  };
}

test("counters, gauges and histograms of all are added up, label by label", async () => {
  const sums = new Sums();
  const [a, b] = [worker(), worker()];
  a.finds.inc({ mode: "video" }, 3);
  b.finds.inc({ mode: "video" }, 4);
  b.finds.inc({ mode: "text" }, 5);
  a.open.set(10);
  b.open.set(20);
  a.wait.observe(0.5);
  b.wait.observe(1.5);
  for (const { life, metrics } of [a, b]) sums.said(life, await metrics());
  const { text } = await sums.scraped(new Set([a.life, b.life]), WORKFORCE);
  const lines = text.split("\n");
  for (const line of [
    'finds_total{mode="video"} 7',
    'finds_total{mode="text"} 5',
    "open 30",
    "# TYPE wait_seconds histogram",
    'wait_seconds_bucket{le="1"} 1',
    'wait_seconds_bucket{le="2"} 2',
    'wait_seconds_bucket{le="+Inf"} 2',
    "wait_seconds_sum 2",
    "wait_seconds_count 2",
  ]) {
    expect(lines).toContain(line);
  }
});

test("what grows never shrinks: the dead count on, again and again, and what they held is gone", async () => {
  const sums = new Sums();
  for (let n = 0; n < 3; n += 1) {
    const { life, finds, open, wait, metrics } = worker();
    finds.inc({ mode: "video" }, 100);
    open.set(50);
    wait.observe(1.5);
    sums.said(life, await metrics());
    sums.ended(life);
  }
  const alive = worker();
  alive.open.set(1);
  sums.said(alive.life, await alive.metrics());
  const { text } = await sums.scraped(new Set([alive.life]), WORKFORCE);
  const lines = text.split("\n");
  expect(lines).toContain('finds_total{mode="video"} 300');
  expect(lines).toContain('wait_seconds_bucket{le="2"} 3');
  expect(lines).toContain("wait_seconds_count 3");
  expect(lines).toContain("open 1");
});

test("of a worker that is silent only what grows is counted, as it was last", async () => {
  const sums = new Sums();
  const [a, silent] = [worker(), worker()];
  silent.finds.inc({ mode: "video" }, 9);
  silent.open.set(7);
  a.open.set(1);
  for (const { life, metrics } of [a, silent]) sums.said(life, await metrics());
  const { text } = await sums.scraped(new Set([a.life]), WORKFORCE);
  expect(text.split("\n")).toContain('finds_total{mode="video"} 9');
  expect(text.split("\n")).toContain("open 1");
});

test("what the relay of all counts is in it once", async () => {
  const sums = new Sums();
  const relay = { allocations: 3, turnedAway: 40, refused: { ...noRefusals().refused, quota: 5 } };
  const { text } = await sums.scraped(new Set(), { ...WORKFORCE, relay });
  expect(text).toContain("\nchatrandom_relay_allocations 3\n");
  expect(text).toContain("\nchatrandom_relay_clients_refused_total 40\n");
  expect(text).toContain('\nchatrandom_relay_requests_refused_total{cause="quota"} 5\n');
  expect(text).toContain('\nchatrandom_relay_requests_refused_total{cause="idle"} 0\n');
});

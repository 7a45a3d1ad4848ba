/** Nodes that are told to end, and others that come in their place. */
import { expect, test } from "vitest";
import { Cluster, all, report, seconds } from "./cluster.ts";
import { Store } from "./store.ts";

const DRAIN_MS = 3_000;

test("a rolling restart of three nodes under 200 pairs ends no pair: each drains with a spread, and exits 0 in time", async ({
  onTestFinished,
}) => {
  const store = await Store.start();
  onTestFinished(() => store.kill());
  const options = { args: [`--drain-timeout=${DRAIN_MS}ms`] };
  const cluster = await Cluster.start(store.url, [options, options, options]);
  onTestFinished(() => cluster.stop());
  const pairs = await cluster.pairs(200);
  const before = pairs.map(([{ pair }]) => pair);
  const waiting = await cluster.waiting(20);

  const took: number[] = [];
  const spreads: number[] = [];
  for (const [index, node] of cluster.nodes.entries()) {
    const leaving = cluster.pages.filter((page) => page.node === index);
    expect(leaving.length).toBeGreaterThan(50);
    const told = performance.now();
    expect(await node.end("SIGTERM")).toBe(0);
    took.push(performance.now() - told);
    await all(leaving, "connected elsewhere", (page) => page.isOpen && page.node !== index);
    const came = leaving.map(({ welcomes }) => welcomes.at(-1)!.at).toSorted((a, b) => a - b);
    spreads.push(came[Math.floor(came.length * 0.9)]! - came[Math.floor(came.length * 0.1)]!);
    await cluster.replace(index, options);
  }
  await cluster.partnersOf(waiting, [0, 1, 2]);
  await all(waiting, "matched", ({ pair }) => pair !== undefined, 10_000);

  expect(Math.min(...spreads)).toBeGreaterThan(DRAIN_MS / 4);
  expect(pairs.map(([{ pair }]) => pair)).toEqual(before);
  const pages = [...pairs.flat(), ...waiting];
  expect(pages.flatMap(({ endings }) => endings)).toEqual([]);
  const again = pages.flatMap(({ welcomes }) => welcomes.slice(1));
  expect(again.filter(({ resumed }) => !resumed)).toEqual([]);
  await cluster.expectPairsToBeWhole();
  report("a rolling restart of three nodes", {
    "pairs, and ended": `${pairs.length}, 0`,
    "visitors moved": again.length,
    "a drain took": took.map(seconds).join(", "),
    "four of five moved within": spreads.map(seconds).join(", "),
  });
});

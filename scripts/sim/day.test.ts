import { describe, expect, test } from "vitest";
import { ModelMatcher } from "../../src/matching/model.ts";
import { DEFAULT_RULES } from "../../src/matching/rules.ts";
import { play } from "./day.ts";
import { percentile, plot } from "./plot.ts";
import { exactBuckets, fifo, ours } from "./policies.ts";
import type { Policy } from "./policies.ts";
import { DAY, seeded, visitorsOf, wholeDay } from "./visitors.ts";
import type { Community, Visitor } from "./visitors.ts";

const club: Community = { visitors: 8, days: 3, from: 0, counts: 0, to: DAY };

async function model(clock: { now: number }): Promise<Policy> {
  let pairs = 0;
  const matcher = new ModelMatcher({
    rules: { ...DEFAULT_RULES, lease: 1e12 },
    now: () => clock.now,
    newPair: () => `pair ${pairs++}`,
  });
  await matcher.renew("sim", { online: 0, waiting: 0 });
  return ours(matcher);
}

describe("a simulated day", () => {
  test("is the same for the same seed, and another for another", async () => {
    const one = visitorsOf(club, 0, seeded(1));
    expect(visitorsOf(club, 0, seeded(1))).toEqual(one);
    expect(visitorsOf(club, 0, seeded(2))).not.toEqual(one);
    const [a, b] = [{ now: 0 }, { now: 0 }];
    expect(await play(club, await model(a), a, 1)).toEqual(await play(club, await model(b), b, 1));
  });

  test("a whole day of a place that is played in part has visitors at all times", () => {
    const evening: Community = {
      visitors: 2_000,
      days: 1,
      from: 0.9 * DAY,
      counts: 0.9 * DAY,
      to: 0.95 * DAY,
    };
    const arrivals = visitorsOf(wholeDay(evening), 0, seeded(1)).map(({ arrives }) => arrives);
    expect(arrivals).toHaveLength(2_000);
    expect(visitorsOf(evening, 0, seeded(1)).length).toBeLessThan(400);
    for (let hour = 0; hour < 24; hour++) {
      expect(arrivals.some((at) => Math.floor((24 * at) / DAY) === hour)).toBe(true);
    }
  });

  test("ours meets fewer strangers twice and more who share an interest than a plain queue", async () => {
    const clock = { now: 0 };
    const crowd = { ...club, visitors: 40 };
    const mine = await play(crowd, await model(clock), clock, 1);
    const queue = await play(crowd, fifo(), { now: 0 }, 1);
    expect(mine.matches).toBeGreaterThan(500);
    expect(mine.rematches / mine.matches).toBeLessThan(queue.rematches / queue.matches);
    expect(mine.sharing / mine.matches).toBeGreaterThan(queue.sharing / queue.matches);
  });
});

describe("what it is compared with", () => {
  const visitor = (name: string, interests: string[] = []): Visitor => ({
    name,
    arrives: 0,
    leaves: DAY,
    patience: DAY,
    wish: { mode: "video", interests, languages: [], strict: false },
  });

  test("a plain queue takes who waited longest, whatever they wish", async () => {
    const queue = fifo();
    expect(await queue.ask(visitor("anna", ["go"]))).toEqual({});
    expect(await queue.ask(visitor("ben"))).toMatchObject({ partner: "anna" });
    expect(await queue.ask(visitor("carl"))).toEqual({});
    await queue.go(visitor("carl"));
    expect(await queue.ask(visitor("dora"))).toEqual({});
  });

  test("exact buckets join only equal wishes, in whatever order they are written", async () => {
    const buckets = exactBuckets();
    await buckets.ask(visitor("anna", ["go", "art"]));
    expect(await buckets.ask(visitor("ben", ["go"]))).toEqual({});
    expect(await buckets.ask(visitor("carl", ["art", "go"]))).toMatchObject({ partner: "anna" });
  });
});

test("the plot has a row for each community and policy", async () => {
  const findings = await play(club, fifo(), { now: 0 }, 1);
  const svg = plot([
    { community: "8", policy: "fifo", findings },
    { community: "9", policy: "fifo", findings: { ...findings, waits: [] } },
  ]);
  expect(svg.match(/<circle /g)).toHaveLength(2);
  expect(svg).not.toContain("NaN");
  expect(percentile([1, 2, 3, 4], 0.5)).toBe(3);
});

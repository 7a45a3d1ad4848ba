import { describe, expect, test } from "vitest";
import type { StoredReport } from "../node/contracts.ts";
import { reportsKey } from "../redis/keys.ts";
import { deviceOf } from "../session/resume-token.ts";
import { places } from "./place.ts";
import type { Place } from "./place.ts";

const open = places();

async function reportsOf(place: Place): Promise<StoredReport[]> {
  const entries = await place.redis.xrange(reportsKey(place.prefix), "-", "+");
  return entries.map(([, fields]) => JSON.parse(fields[1]!) as StoredReport);
}

/** Two visitors on devices of their own, paired. */
async function pairOf(place: Place, ...devices: [string, string]) {
  const [alice, bob] = [
    await place.visitor({ device: devices[0] }),
    await place.visitor({ device: devices[1] }),
  ];
  bob.find();
  await bob.next("waiting");
  alice.find();
  const { pair } = await alice.next("matched");
  await bob.next("matched");
  return { alice, bob, pair };
}

describe.each([1, 3])("on %i nodes", (nodes) => {
  test("M3: block ends the pair, and the two never meet again", async () => {
    const place = await open({ nodes });
    const { alice, bob, pair } = await pairOf(place, "a", "b");
    alice.send({ type: "block", pair });
    expect(await bob.next("ended")).toEqual({ type: "ended", pair, reason: "blocked" });
    await alice.nothing();
    for (const visitor of [alice, bob]) {
      visitor.find();
      await visitor.next("waiting");
    }
    expect(await place.count('chatrandom_candidates_passed_over_total{reason="blocked"}')).toBe(1);
    expect(await place.count("chatrandom_candidates_passed_over_total")).toBe(1);
    await place.pass(120_000);
    const heard = [await alice.heard(), await bob.heard()].flat();
    expect(heard.filter(({ type }) => type !== "waiting")).toEqual([]);
  });

  test("M3: a block goes by device, both ways, and outlives the sessions", async () => {
    const place = await open({ nodes });
    const { alice, bob, pair } = await pairOf(place, "a", "b");
    alice.send({ type: "block", pair });
    await bob.next("ended");
    for (const visitor of [alice, bob]) await place.drop(visitor);
    await place.pass(21_000);
    const [again, other] = [await place.visitor({ device: "b" }), await place.visitor({ device: "a" })];
    again.find();
    await again.next("waiting");
    other.find();
    await other.next("waiting");
    await place.pass(60_000);
    expect(
      [await again.heard(), await other.heard()].flat().filter(({ type }) => type === "matched"),
    ).toEqual([]);
  });

  test("block: the last pair can be blocked after its end", async () => {
    const place = await open({ nodes });
    const { alice, bob, pair } = await pairOf(place, "a", "b");
    bob.send({ type: "leave" });
    await alice.next("ended");
    alice.send({ type: "block", pair });
    await alice.nothing();
    await place.settle();
    for (const visitor of [alice, bob]) {
      visitor.find();
      await visitor.next("waiting");
    }
    await place.pass(60_000);
    const heard = [await alice.heard(), await bob.heard()].flat();
    expect(heard.filter(({ type }) => type === "matched")).toEqual([]);
  });

  test("report: stores, blocks and leaves in one step, and says reported", async () => {
    const place = await open({ nodes });
    const { alice, bob, pair } = await pairOf(place, "a", "b");
    alice.send({ type: "report", pair, reason: "harassment", details: "said things" });
    expect(await bob.next("ended")).toEqual({ type: "ended", pair, reason: "blocked" });
    expect(await alice.next("reported")).toEqual({ type: "reported", pair });
    expect(await reportsOf(place)).toEqual([
      {
        pair,
        reason: "harassment",
        details: "said things",
        reporterDevice: deviceOf("a"),
        reportedDevice: deviceOf("b"),
        at: expect.any(Number),
      },
    ]);
    for (const visitor of [alice, bob]) {
      visitor.find();
      await visitor.next("waiting");
    }
    await place.pass(60_000);
    const heard = [await alice.heard(), await bob.heard()].flat();
    expect(heard.filter(({ type }) => type !== "waiting")).toEqual([]);
    expect(await place.count("chatrandom_reports_total")).toBe(1);
  });

  test("report: the last pair, up to 5 min after its end and no later", async () => {
    const place = await open({ nodes });
    const { alice, bob, pair } = await pairOf(place, "a", "b");
    bob.send({ type: "leave" });
    await alice.next("ended");
    await place.pass(295_000);
    alice.send({ type: "report", pair, reason: "minor" });
    expect(await alice.next("reported")).toEqual({ type: "reported", pair });
    await place.pass(10_000);
    bob.send({ type: "report", pair, reason: "spam" });
    expect(await bob.next("error")).toMatchObject({
      code: expect.stringMatching(/^(no_such_pair|not_paired)$/),
    });
    expect(await reportsOf(place)).toHaveLength(1);
  });

  test("report: a pair counts once for each side, however often it is reported", async () => {
    const place = await open({ nodes });
    const { alice, bob, pair } = await pairOf(place, "a", "b");
    for (const visitor of [alice, alice, bob, alice, bob]) {
      visitor.send({ type: "report", pair, reason: "spam" });
      expect(await visitor.eventually("reported")).toEqual({ type: "reported", pair });
    }
    expect(await reportsOf(place)).toHaveLength(2);
    expect(await place.count("chatrandom_reports_total")).toBe(2);
  });

  test("report: two that are said in one breath count once", async () => {
    const place = await open({ nodes });
    const { alice, pair } = await pairOf(place, "a", "b");
    for (const reason of ["spam", "minor"] as const) alice.send({ type: "report", pair, reason });
    for (let i = 0; i < 2; i++)
      expect(await alice.eventually("reported")).toEqual({ type: "reported", pair });
    expect(await reportsOf(place)).toHaveLength(1);
    expect(await place.count("chatrandom_reports_total")).toBe(1);
  });

  test("report: only the last pair, not the one before", async () => {
    const place = await open({ nodes });
    const { alice, bob, pair } = await pairOf(place, "a", "b");
    const carol = await place.visitor();
    carol.find({ mode: "text" });
    await carol.next("waiting");
    alice.find({ mode: "text" });
    await bob.next("ended");
    const second = await alice.next("matched");
    // The one before, while in the next: it is the last one still.
    alice.send({ type: "report", pair, reason: "spam" });
    expect(await alice.next("reported")).toEqual({ type: "reported", pair });
    alice.send({ type: "signal", pair: second.pair, data: {} });
    await carol.next("matched");
    await carol.next("signal");
    alice.send({ type: "leave" });
    await carol.next("ended");
    alice.send({ type: "report", pair, reason: "spam" });
    expect(await alice.next("error")).toMatchObject({ code: "not_paired" });
    expect(await reportsOf(place)).toHaveLength(1);
  });

  test("report: what was said stays out of the log", async () => {
    const place = await open({ nodes });
    const { alice, bob, pair } = await pairOf(place, "device of alice", "device of bob");
    alice.send({ type: "signal", pair, data: { sdp: "a line of sdp" } });
    await bob.next("signal");
    alice.send({ type: "report", pair, reason: "other", details: "words of a report" });
    await alice.next("reported");
    const logged = JSON.stringify(place.nodes.map(({ logged }) => logged));
    for (const secret of [
      "127.0.0.1",
      "device of",
      "a line of",
      "words of",
      alice.welcome.resume,
      bob.welcome.resume,
    ]) {
      expect(logged).not.toContain(secret);
    }
  });
});

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { matched, startTestStore, visitor, waiting } from "./test-pool.ts";
import type { TestPool, TestStore } from "./test-pool.ts";

let store: TestStore;
beforeAll(async () => void (store = await startTestStore()));
afterAll(() => store.stop());

const anna = (pool: TestPool) => visitor(pool.matcher, "anna");
const ben = (pool: TestPool) => visitor(pool.matcher, "ben");
const carl = (pool: TestPool) => visitor(pool.matcher, "carl");

/** A pair of anna and ben that has just ended. */
async function met(pool: TestPool): Promise<void> {
  await anna(pool).find();
  matched(await ben(pool).find());
  await ben(pool).leave();
}

describe("M4: recent partners", () => {
  test("M4: a recent partner is not matched again while somebody else waits", async () => {
    const pool = await store.pool();
    await met(pool);
    await anna(pool).find();
    expect(waiting(await ben(pool).find()).passed.recent).toBe(1);
    expect(matched(await carl(pool).find()).match.partner.session).toBe("anna");
  });

  test("M4: somebody new goes before a recent partner who gave way and has waited longer", async () => {
    const pool = await store.pool();
    await met(pool);
    await anna(pool).find({ interests: ["art"], strict: true });
    pool.now += 20_000;
    await carl(pool).find({ interests: ["go"], strict: true });
    const asked = { interests: ["art", "go"], strict: true };
    const first = matched(await ben(pool).find(asked, { since: 0 }));
    expect(first.match.partner.session).toBe("carl");
    expect(first.passed.recent).toBe(1);
  });

  test("M4: with nobody else there it gives way once both have waited 10 s, and `relaxed` says so", async () => {
    const pool = await store.pool();
    await met(pool);
    expect(waiting(await anna(pool).find())).toMatchObject({ retryIn: 10_000, relaxed: [] });
    pool.now += 3_000;
    waiting(await ben(pool).find());
    pool.now += 7_000;
    expect(waiting(await anna(pool).find()).relaxed).toEqual(["recent"]);
    expect(waiting(await ben(pool).find())).toMatchObject({ retryIn: 3_000, relaxed: [] });
    pool.now += 3_000;
    const again = matched(await ben(pool).find());
    expect(again.match.partner.session).toBe("anna");
    expect(again.passed.recent).toBe(0);
    expect(again.relaxed).toEqual(["recent"]);
  });

  test("M4: by device, so that a reload does not lift it", async () => {
    const pool = await store.pool();
    await met(pool);
    await anna(pool).end();
    await visitor(pool.matcher, "anna again", { device: "device of anna" }).find();
    expect(waiting(await ben(pool).find()).passed.recent).toBe(1);
  });

  test("M4: for 30 min, and its end is not missed", async () => {
    const pool = await store.pool({ recentAfter: 3_600_000 });
    await met(pool);
    pool.now += 30 * 60_000 - 5_000;
    await anna(pool).find();
    expect(waiting(await ben(pool).find()).retryIn).toBe(5_000);
    pool.now += 5_000;
    matched(await ben(pool).find());
  });

  test("M4: the last ten only, in either direction", async () => {
    const pool = await store.pool();
    await met(pool);
    for (let n = 0; n < 10; n++) {
      pool.now += 1;
      await anna(pool).find();
      await visitor(pool.matcher, `other ${n}`).find();
      await anna(pool).leave();
    }
    await anna(pool).find();
    // Anna has forgotten ben, but ben has not forgotten anna.
    expect(waiting(await ben(pool).find()).passed.recent).toBe(1);
    await ben(pool).leave();
    for (let n = 10; n < 20; n++) {
      pool.now += 1;
      await ben(pool).find({ mode: "text" });
      await visitor(pool.matcher, `other ${n}`).find({ mode: "text" });
      await ben(pool).leave();
    }
    expect(matched(await ben(pool).find()).match.partner.session).toBe("anna");
  });
});

describe("M6: preferences give way", () => {
  test("M6: interests after 5 s, languages after 10 s, announced by `relaxed`", async () => {
    const pool = await store.pool();
    const wished = { interests: ["go"], languages: ["en"] };
    expect(waiting(await anna(pool).find(wished))).toMatchObject({ relaxed: [], retryIn: 5_000 });
    pool.now += 5_000;
    expect(waiting(await anna(pool).find(wished))).toMatchObject({ relaxed: ["interests"], retryIn: 5_000 });
    pool.now += 5_000;
    expect(waiting(await anna(pool).find(wished))).toMatchObject({
      relaxed: ["interests", "languages"],
      retryIn: 30_000,
    });
  });

  test("M6: a match says what had given way for the one who asked", async () => {
    const pool = await store.pool();
    const wished = { interests: ["go"], languages: ["en"] };
    await anna(pool).find(wished);
    await ben(pool).find({ languages: ["en"] });
    pool.now += 5_000;
    expect(matched(await anna(pool).find(wished)).relaxed).toEqual(["interests"]);
    waiting(await carl(pool).find());
    expect(matched(await visitor(pool.matcher, "dora").find()).relaxed).toEqual([]);
  });

  test("M6: never with `strict`", async () => {
    const pool = await store.pool();
    const wished = { interests: ["go"], languages: ["en"], strict: true };
    await anna(pool).find(wished);
    pool.now += 3_600_000;
    expect(waiting(await anna(pool).find(wished)).relaxed).toEqual([]);
    waiting(await ben(pool).find());
    expect(matched(await carl(pool).find(wished)).match.partner.session).toBe("anna");
  });

  test("M6: a ticket that still insists is not given to one without preferences before its own time", async () => {
    const pool = await store.pool();
    await anna(pool).find({ interests: ["go"] });
    waiting(await ben(pool).find());
    pool.now += 4_999;
    waiting(await anna(pool).find({ interests: ["go"] }));
    waiting(await ben(pool).find());
    pool.now += 1;
    expect(matched(await anna(pool).find({ interests: ["go"] })).match.partner.session).toBe("ben");
  });

  test("M6: an interest shared is not enough for one who insists on a language, and the other way round", async () => {
    const pool = await store.pool();
    await anna(pool).find({ interests: ["go"], languages: ["en"] });
    waiting(await ben(pool).find({ interests: ["go"], languages: ["fr"] }));
    waiting(await carl(pool).find({ interests: ["chess"], languages: ["en"] }));
    pool.now += 5_000;
    waiting(await ben(pool).find({ interests: ["go"], languages: ["fr"] }));
    waiting(await carl(pool).find({ interests: ["chess"], languages: ["en"] }));
    const { match } = matched(await anna(pool).find({ interests: ["go"], languages: ["en"] }));
    expect(match).toMatchObject({ partner: { session: "carl" }, common: { interests: [], language: "en" } });
  });

  test("M6: the times are the operator's", async () => {
    const pool = await store.pool({ interestsAfter: 100, languagesAfter: 50, recentAfter: 0 });
    expect(waiting(await anna(pool).find({ interests: ["go"], languages: ["en"] })).retryIn).toBe(50);
  });
});

describe("M7: nobody starves", () => {
  test("M7: of several the longest waiting goes first", async () => {
    const pool = await store.pool();
    for (const name of ["first", "second", "third"]) {
      await visitor(pool.matcher, name, { device: "one" }).find();
      pool.now += 1;
    }
    const order = [];
    for (const asking of [anna, ben, carl])
      order.push(matched(await asking(pool).find()).match.partner.session);
    expect(order).toEqual(["first", "second", "third"]);
  });

  test("M7: a ticket that nothing gives way for asks again within 30 s all the same", async () => {
    const pool = await store.pool();
    await anna(pool).find({}, { since: 0 });
    expect(waiting(await anna(pool).find()).retryIn).toBe(30_000);
  });
});

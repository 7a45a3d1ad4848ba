import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { holder, matched, startTestStore, visitor, waiting, wish } from "./test-pool.ts";
import type { TestPool, TestStore } from "./test-pool.ts";

let store: TestStore;
beforeAll(async () => void (store = await startTestStore()));
afterAll(() => store.stop());

const anna = (pool: TestPool) => visitor(pool.matcher, "anna");
const ben = (pool: TestPool) => visitor(pool.matcher, "ben", { node: "b" });
const some = { online: 3, waiting: 1 };

describe("resume", () => {
  test("S3: on another node, idle, and the older holder is superseded in all it does", async () => {
    const pool = await store.pool();
    await anna(pool).open();
    expect(await pool.matcher.resume("anna", "b")).toEqual({
      holder: holder("anna", { node: "b", epoch: 2 }),
      previousNode: "a",
      resumed: { state: "idle" },
    });
    expect(await anna(pool).find()).toEqual({ kind: "superseded" });
    expect(await anna(pool).undo("pair")).toEqual({ kind: "superseded" });
    expect(await anna(pool).leave()).toBe("superseded");
    expect(await anna(pool).block("pair")).toBe("superseded");
    await anna(pool).absent();
    expect(await anna(pool).end()).toBe("superseded");
    expect((await pool.matcher.resume("anna", "a"))?.holder.epoch).toBe(3);
  });

  test("S3: on the node that holds it already, as often as it is asked, nothing changes hands", async () => {
    const pool = await store.pool();
    await anna(pool).open();
    for (let again = 0; again < 2; again++) {
      expect(await pool.matcher.resume("anna", "a")).toMatchObject({
        holder: { epoch: 1 },
        previousNode: "a",
      });
    }
    expect(await anna(pool).find()).toMatchObject({ kind: "waiting" });
  });

  test("S3: the same ticket, out of reach until its next find, then at its old place", async () => {
    const pool = await store.pool();
    const wished = wish({ interests: ["go", "chess"], languages: ["en", "fr"], strict: true });
    const { since } = waiting(await anna(pool).find(wished));
    pool.now += 7_000;
    const resumed = await pool.matcher.resume("anna", "b");
    expect(resumed?.resumed).toEqual({ state: "waiting", wish: wished, since });
    waiting(await ben(pool).find(wished));
    await ben(pool).leave();
    expect(waiting(await pool.matcher.find(resumed!.holder, { wish: wished })).since).toBe(since);
  });

  test("S3: the same pair, and its signals know where to go", async () => {
    const pool = await store.pool();
    const wished = { interests: ["go"], languages: ["en"] };
    await anna(pool).find(wished);
    const { match } = matched(await ben(pool).find(wished));
    expect((await pool.matcher.resume("ben", "c"))?.resumed).toEqual({ state: "paired", match });
    expect((await pool.matcher.resume("anna", "d"))?.resumed).toEqual({
      state: "paired",
      match: { ...match, role: "answerer", partner: { session: "ben", node: "c", epoch: 2 } },
    });
  });

  test("S3: a session can be asked for where it is only", async () => {
    const pool = await store.pool();
    await anna(pool).open();
    expect(await pool.matcher.resume("anna", "b", true)).toBeNull();
    expect((await pool.matcher.resume("anna", "a", true))?.holder.epoch).toBe(1);
    expect((await pool.matcher.resume("anna", "b"))?.previousNode).toBe("a");
  });

  test("S4: nobody resumes a session that is over", async () => {
    const pool = await store.pool();
    await anna(pool).open();
    await anna(pool).end();
    expect(await pool.matcher.resume("anna", "b")).toBeNull();
    expect(await pool.matcher.resume("nobody", "b")).toBeNull();
  });

  test("S4: an absent session's ticket cannot be matched, and keeps its place", async () => {
    const pool = await store.pool();
    const { since } = waiting(await anna(pool).find());
    await anna(pool).absent();
    waiting(await ben(pool).find());
    await ben(pool).leave();
    pool.now += 9_000;
    expect(waiting(await anna(pool).find()).since).toBe(since);
  });
});

describe("what the store has lost", () => {
  test("a find records its session anew, at the place that the node remembers", async () => {
    const pool = await store.pool();
    const since = pool.now - 4_000;
    expect(waiting(await anna(pool).find({}, { since })).since).toBe(since);
    expect(waiting(await ben(pool).find({ mode: "text" }, { since: pool.now + 4_000 })).since).toBe(pool.now);
    expect((await pool.matcher.resume("anna", "b"))?.resumed.state).toBe("waiting");
  });

  test("M1, M8: who waits or is in a pair, and does not as far as their node knows, is told that it is over", async () => {
    const pool = await store.pool();
    await anna(pool).open();
    expect(await pool.matcher.restore(anna(pool).self)).toEqual({ restored: "held" });
    await anna(pool).find();
    expect(await pool.matcher.restore(anna(pool).self)).toEqual({ restored: "over" });
    await ben(pool).find();
    expect(await pool.matcher.restore(anna(pool).self)).toEqual({ restored: "over" });
  });

  test("S3: sessions and pairs restored by their nodes can be resumed again", async () => {
    const [lost, pool] = [await store.pool(), await store.pool()];
    const wished = { interests: ["go", "art"], languages: ["en"] };
    await anna(lost).find(wished);
    const { match } = matched(await ben(lost).find(wished));
    const theirs = { ...match, role: "answerer" as const, partner: { session: "ben", node: "b", epoch: 1 } };
    expect(await pool.matcher.restore(anna(pool).self, theirs)).toMatchObject({ restored: "alone" });
    expect(await pool.matcher.restore(anna(pool).self, theirs)).toMatchObject({ restored: "alone" });
    expect(await pool.matcher.restore(ben(pool).self, match)).toMatchObject({ restored: "held" });
    expect(await pool.matcher.restore(anna(pool).self, theirs)).toEqual({
      restored: "held",
      there: { node: "b", epoch: 1 },
    });
    expect(await pool.matcher.restore(ben(pool).self, match)).toEqual({
      restored: "held",
      there: { node: "a", epoch: 1 },
    });
    expect((await pool.matcher.resume("anna", "c"))?.resumed).toEqual({ state: "paired", match: theirs });
    expect(await pool.matcher.restore(anna(pool).self, theirs)).toMatchObject({ restored: "superseded" });
    expect(await pool.matcher.restore(ben(pool).self, match)).toEqual({
      restored: "held",
      there: { node: "c", epoch: 2 },
    });
    expect(await ben(pool).leave()).toMatchObject({ partner: { session: "anna", node: "c" } });
  });

  test("a pair whose other side has gone on without it is over", async () => {
    const [lost, pool] = [await store.pool(), await store.pool()];
    await anna(lost).find();
    const { match } = matched(await ben(lost).find());
    await anna(pool).find();
    expect(await pool.matcher.restore(ben(pool).self, match)).toMatchObject({ restored: "over" });
    expect((await pool.matcher.resume("ben", "b"))?.resumed).toEqual({ state: "idle" });
  });

  test("a takeover that the store has lost counts", async () => {
    const pool = await store.pool();
    await anna(pool).open();
    waiting(await pool.matcher.find(holder("anna", { node: "b", epoch: 2 }), { wish: wish() }));
    expect(await anna(pool).find()).toEqual({ kind: "superseded" });
  });

  test("of two takeovers of one epoch, one of which the store has lost, the one it knows counts", async () => {
    const pool = await store.pool();
    await anna(pool).open();
    await pool.matcher.resume("anna", "b");
    await pool.matcher.renew("c", some);
    const other = holder("anna", { node: "c", epoch: 2 });
    expect(await pool.matcher.find(other, { wish: wish() })).toEqual({ kind: "superseded" });
  });

  test("an entry of a list whose record is lost is passed over and removed", async () => {
    const pool = await store.pool();
    const list = `${pool.prefix}{pool}:video:open`;
    await pool.redis.zadd(list, "1", "ghost");
    expect(waiting(await anna(pool).find()).passed.gone).toBe(1);
    expect(await pool.redis.zrange(list, "0", "-1")).toEqual(["anna"]);
  });
});

describe("leases", () => {
  test("a node without a lease is fenced, and does nothing", async () => {
    const pool = await store.pool({ lease: 5_000 });
    await ben(pool).find();
    pool.now += 4_999;
    await pool.matcher.renew("b", some);
    pool.now += 1;
    expect(await anna(pool).find()).toEqual({ kind: "fenced" });
    const { heldSince } = await pool.matcher.renew("a", some);
    expect(heldSince).toBe(pool.now);
    pool.now += 1;
    expect((await pool.matcher.renew("a", some)).heldSince).toBe(heldSince);
    matched(await anna(pool).find());
  });

  test("M8: a ticket of a dead node is not handed out, before anybody has reaped it", async () => {
    const pool = await store.pool({ lease: 5_000 });
    await anna(pool).find();
    pool.now += 5_000;
    await pool.matcher.renew("b", some);
    expect(waiting(await ben(pool).find()).passed.gone).toBe(1);
    expect(waiting(await ben(pool).find()).passed.gone).toBe(0);
    // Back again, the node finds its visitor's place as it was.
    await pool.matcher.renew("a", some);
    expect(matched(await anna(pool).find()).waited).toBe(5_000);
  });

  test("renew counts the visitors of the living, and names the dead who still have sessions", async () => {
    const pool = await store.pool({ lease: 5_000 });
    await anna(pool).open();
    await ben(pool).open();
    const { heldSince } = await pool.matcher.renew("b", some);
    await pool.matcher.renew("a", some);
    expect(await pool.matcher.renew("b", { online: 4, waiting: 2 })).toEqual({
      total: { online: 7, waiting: 3 },
      nodes: ["a", "b"],
      dead: [],
      heldSince,
    });
    await pool.matcher.retire("a");
    expect(await pool.matcher.renew("b", some)).toMatchObject({ total: some, nodes: ["b"], dead: ["a"] });
    await anna(pool).end();
    expect(await pool.matcher.renew("b", some)).toMatchObject({ total: some, nodes: ["b"], dead: [] });
    expect(await pool.redis.zcard(`${pool.prefix}{pool}:nodes`)).toBe(1);
  });

  test("retire of a node that has no lease does nothing", async () => {
    const pool = await store.pool();
    await pool.matcher.retire("nobody");
    expect((await pool.matcher.renew("b", some)).nodes).toEqual(["a", "b"]);
  });
});

describe("nodes that cannot be reached", () => {
  test("M2, M7: their tickets are passed over, whoever else waits is found, and soon it is asked again", async () => {
    const pool = await store.pool();
    const find = { wish: wish() };
    const carl = visitor(pool.matcher, "carl");
    await ben(pool).find();
    pool.now += 1;
    const alone = waiting(await pool.matcher.find(holder("anna"), find, ["b", "c"]));
    expect([alone.passed.unreachable, alone.retryIn]).toEqual([1, 1_000]);
    await anna(pool).leave();
    await carl.find({ mode: "text" });
    const text = { wish: wish({ mode: "text" }) };
    expect(matched(await pool.matcher.find(holder("anna"), text, ["b"])).match.partner.session).toBe("carl");
    await anna(pool).leave();
    expect(matched(await anna(pool).find()).match.partner.session).toBe("ben");
  });

  test("M2: nor does a match that is undone lead to the next visitor there", async () => {
    const pool = await store.pool();
    await ben(pool).find();
    const { match } = matched(await anna(pool).find());
    await visitor(pool.matcher, "dan", { node: "b" }).find();
    const undone = await pool.matcher.undo(holder("anna"), match.pair, { wish: wish() }, ["b"]);
    expect(waiting(undone).passed.unreachable).toBe(1);
  });

  test("census: every node with its load and how long it still holds its lease", async () => {
    const pool = await store.pool({ lease: 5_000 });
    await anna(pool).open();
    await pool.matcher.renew("a", { online: 3, waiting: 1 });
    pool.now += 2_000;
    await pool.matcher.renew("b", { online: 4, waiting: 2 });
    pool.now += 3_500;
    expect((await pool.matcher.census(1)).nodes).toEqual([
      { node: "a", lease: -500, online: 3, waiting: 1 },
      { node: "b", lease: 1_500, online: 4, waiting: 2 },
    ]);
    await pool.matcher.retire("b");
    expect((await pool.matcher.census(1)).nodes[1]).toEqual({ node: "b", lease: 0, online: 0, waiting: 0 });
  });
});

describe("reap", () => {
  test("S4: what a late call of a node that has given its lease up leaves behind is found", async () => {
    const pool = await store.pool();
    await pool.matcher.retire("b");
    expect((await pool.matcher.renew("a", some)).dead).toEqual([]);
    await ben(pool).open();
    expect((await pool.matcher.renew("a", some)).dead).toEqual(["b"]);
  });

  test("a living node is not reaped", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    expect(await pool.matcher.reap("a")).toEqual({ orphans: [], more: false });
    matched(await ben(pool).find());
  });

  test("S4: tickets go at once, pairs when the grace is over, each told once", async () => {
    const pool = await store.pool();
    const carl = visitor(pool.matcher, "carl");
    await anna(pool).find({ mode: "text" });
    const { match } = matched(await ben(pool).find({ mode: "text" }));
    await carl.find();
    await pool.matcher.retire("a");
    const orphan = { pair: match.pair, partner: { session: "ben", node: "b" } };
    expect(await pool.matcher.reap("a")).toEqual({ orphans: [{ ...orphan, ended: false }], more: false });
    expect((await pool.matcher.census(1)).waiting).toEqual({ video: 0, text: 0 });
    pool.now += 19_999;
    expect(await pool.matcher.reap("a")).toEqual({ orphans: [], more: false });
    pool.now += 1;
    expect(await pool.matcher.reap("a")).toEqual({ orphans: [{ ...orphan, ended: true }], more: false });
    expect(await pool.matcher.reap("a")).toEqual({ orphans: [], more: false });
    expect(await ben(pool).leave()).toBeUndefined();
    expect(await pool.matcher.resume("carl", "b")).toBeNull();
  });

  test("S3: a session of a dead node resumes elsewhere within its grace, and is not reaped then", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    await pool.matcher.retire("a");
    await pool.matcher.reap("a");
    pool.now += 19_000;
    expect((await pool.matcher.resume("anna", "b"))?.resumed.state).toBe("paired");
    pool.now += 19_000;
    expect(await pool.matcher.reap("a")).toEqual({ orphans: [], more: false });
    expect(await ben(pool).leave()).toMatchObject({ pair: match.pair });
  });

  test("S4: a node that comes back gets its sessions' whole grace again", async () => {
    const pool = await store.pool();
    await anna(pool).open();
    await pool.matcher.retire("a");
    await pool.matcher.reap("a");
    await pool.matcher.renew("a", some);
    expect(await pool.matcher.restore(anna(pool).self)).toMatchObject({ restored: "held" });
    pool.now += 60_000;
    await pool.matcher.retire("a");
    await pool.matcher.reap("a");
    await pool.matcher.reap("a");
    expect(await pool.matcher.resume("anna", "b")).not.toBeNull();
  });

  test("a bounded number a call, with `more` until all is done", async () => {
    const pool = await store.pool({}, { mostPlaces: 120 });
    for (let n = 0; n < 120; n++) await visitor(pool.matcher, `visitor ${n}`, { device: "one" }).find();
    await pool.matcher.retire("a");
    const more = [];
    for (let call = 0; call < 3; call++) more.push((await pool.matcher.reap("a")).more);
    expect(more).toEqual([true, true, false]);
    expect((await pool.matcher.census(1)).waiting.video).toBe(0);
  });
});

import { expect, test, vi } from "vitest";
import type { Matcher, Orphan } from "../matching/matcher.ts";
import { StillClock } from "../still-clock.ts";
import { Lease } from "./lease.ts";

type Renewal = Awaited<ReturnType<Matcher["renew"]>>;

const RENEWAL: Renewal = { total: { online: 7, waiting: 2 }, nodes: ["me"], dead: [], heldSince: 5 };
const ORPHAN: Orphan = { pair: "p", partner: { session: "s", node: "me" }, ended: false };

function lease(more: { renew?: () => Promise<Renewal>; reap?: Matcher["reap"] } = {}) {
  const clock = new StillClock();
  const did: string[] = [];
  const matcher = {
    renew: vi.fn(more.renew ?? (async () => RENEWAL)),
    reap: vi.fn(more.reap ?? (async () => ({ orphans: [], more: false }))),
    retire: vi.fn(async (node: string) => void did.push(`retire ${node}`)),
  };
  const registry = {
    announce: vi.fn(async () => void did.push("announce")),
    look: vi.fn(async (nodes: readonly string[]) =>
      nodes.map((node) => ({ node, endpoint: "", publicKey: "", version: "", machine: "", startedAt: 0 })),
    ),
    remove: vi.fn(
      async (nodes: readonly string[]) => void did.push(...nodes.map((node) => `remove ${node}`)),
    ),
  };
  const events = {
    counts: () => ({ online: 3, waiting: 1 }),
    onFresh: vi.fn(),
    onOrphan: vi.fn(),
    onRenewed: vi.fn(),
    onFailed: vi.fn(),
  };
  const link = { setPeers: vi.fn() };
  const parts = {
    id: "me",
    matcher: matcher as unknown as Matcher,
    registry,
    link,
    clock,
    rules: { renew: 1_000, lease: 5_000 },
  };
  const settled = () => new Promise((resolve) => void setImmediate(resolve));
  return { clock, did, matcher, registry, events, link, settled, lease: new Lease(parts, events) };
}

test("is renewed every second, with this node's numbers, and brings those of all others", async () => {
  const { clock, matcher, lease: mine, settled } = lease();
  expect(mine.isHeld).toBe(false);
  await mine.start();
  expect(mine.isHeld).toBe(true);
  expect(mine.elsewhere).toEqual({ online: 4, waiting: 1 });
  for (let n = 0; n < 3; n += 1) {
    clock.move(1_000);
    await settled();
  }
  expect(matcher.renew).toHaveBeenCalledTimes(4);
  expect(matcher.renew).toHaveBeenLastCalledWith("me", { online: 3, waiting: 1 });
});

test("is not asked for again while an answer is awaited", async () => {
  const answer = Promise.withResolvers<Renewal>();
  const { clock, matcher, lease: mine, settled } = lease({ renew: () => answer.promise });
  const started = mine.start();
  await settled();
  clock.move(10_000);
  mine.renewSoon();
  expect(matcher.renew).toHaveBeenCalledTimes(1);
  answer.resolve(RENEWAL);
  await started;
  mine.renewSoon();
  await settled();
  expect(matcher.renew).toHaveBeenCalledTimes(2);
});

test("is not held while the store does not answer, and held again once it does", async () => {
  let away = false;
  const renew = async () => {
    if (away) throw new Error("away");
    return RENEWAL;
  };
  const { clock, events, lease: mine, settled } = lease({ renew });
  await mine.start();
  away = true;
  clock.move(1_000);
  await settled();
  expect(mine.isHeld).toBe(false);
  expect(events.onFailed).toHaveBeenCalledWith("renew", expect.any(Error));
  away = false;
  clock.move(1_000);
  await settled();
  expect(mine.isHeld).toBe(true);
  expect(events.onFresh).not.toHaveBeenCalled();
});

test("that ran out, or that the store has lost, is told once; the first one is no news", async () => {
  let heldSince = 5;
  const { clock, events, lease: mine, settled } = lease({ renew: async () => ({ ...RENEWAL, heldSince }) });
  await mine.start();
  clock.move(1_000);
  await settled();
  expect(events.onFresh).not.toHaveBeenCalled();
  heldSince = 9;
  for (let n = 0; n < 3; n += 1) {
    clock.move(1_000);
    await settled();
  }
  expect(events.onFresh).toHaveBeenCalledTimes(1);
});

test("brings the peers; the node says how it is found before others can see its lease", async () => {
  let nodes = ["me", "a", "b"];
  const {
    clock,
    did,
    link,
    registry,
    lease: mine,
    settled,
  } = lease({ renew: async () => ({ ...RENEWAL, nodes }) });
  await mine.start();
  expect(did).toEqual(["announce"]);
  expect(registry.announce.mock.invocationCallOrder[0]).toBeLessThan(
    link.setPeers.mock.invocationCallOrder[0]!,
  );
  expect(link.setPeers).toHaveBeenLastCalledWith([
    expect.objectContaining({ node: "a" }),
    expect.objectContaining({ node: "b" }),
  ]);
  nodes = ["me", "b"];
  clock.move(1_000);
  await settled();
  expect(link.setPeers).toHaveBeenLastCalledWith([expect.objectContaining({ node: "b" })]);
  expect(did).toEqual(["announce", "remove a"]);
});

test("M8: what a dead node held is taken over bit by bit, by one call at a time", async () => {
  const bits = [
    { orphans: [ORPHAN], more: true },
    { orphans: [{ ...ORPHAN, pair: "q", ended: true }], more: false },
  ];
  const {
    clock,
    events,
    matcher,
    lease: mine,
    settled,
  } = lease({
    renew: async () => ({ ...RENEWAL, dead: ["gone"] }),
    reap: async () => bits.shift() ?? { orphans: [], more: false },
  });
  await mine.start();
  await settled();
  expect(matcher.reap.mock.calls).toEqual([["gone"], ["gone"]]);
  expect(events.onOrphan.mock.calls).toEqual([
    ["gone", ORPHAN],
    ["gone", { ...ORPHAN, pair: "q", ended: true }],
  ]);
  clock.move(1_000);
  await settled();
  expect(matcher.reap).toHaveBeenCalledTimes(3);
});

test("is given back at the end, and not asked for again", async () => {
  const { clock, did, matcher, lease: mine, settled } = lease();
  await mine.start();
  await mine.giveUp();
  expect(mine.isHeld).toBe(false);
  expect(did).toEqual(["announce", "retire me", "remove me"]);
  clock.move(60_000);
  await settled();
  expect(matcher.renew).toHaveBeenCalledTimes(1);
  expect(clock.pending).toBe(0);
});

test("M8: is not taken again once it was given back, whoever asks for it and whatever was under way", async () => {
  const { did, matcher, lease: mine, settled } = lease();
  await mine.start();
  const given = mine.giveUp();
  mine.renewSoon(); // a newcomer has begun to listen, or a call of ours was fenced
  await given;
  mine.renewSoon();
  await settled();
  expect(matcher.renew).toHaveBeenCalledTimes(1);
  expect(mine.isHeld).toBe(false);
  expect(did).toEqual(["announce", "retire me", "remove me"]);
});

test("M8: a renewal that is under way is over before it is given back", async () => {
  const answer = Promise.withResolvers<Renewal>();
  const { did, lease: mine, matcher, settled } = lease({ renew: () => answer.promise });
  const started = mine.start();
  await settled();
  const given = mine.giveUp();
  await settled();
  expect(matcher.retire).not.toHaveBeenCalled();
  answer.resolve(RENEWAL);
  await Promise.all([started, given]);
  expect(mine.isHeld).toBe(false);
  expect(did).toEqual(["announce", "retire me", "remove me"]);
});

test("that cannot be given back runs out by itself", async () => {
  const { events, matcher, lease: mine } = lease();
  await mine.start();
  matcher.retire.mockRejectedValueOnce(new Error("away"));
  await mine.giveUp();
  expect(events.onFailed).toHaveBeenCalledWith("retire", expect.any(Error));
});

test("is stale once it may have run out, until it is renewed", async () => {
  const answers = [Promise.withResolvers<Renewal>(), Promise.withResolvers<Renewal>()];
  let asked = 0;
  const { clock, lease: mine, settled } = lease({ renew: () => answers[asked++]!.promise });
  const started = mine.start();
  await settled();
  expect(mine.isStale).toBe(true);
  clock.move(500);
  answers[0]!.resolve(RENEWAL);
  await started;
  clock.move(4_499);
  expect(mine.isStale).toBe(false);
  clock.move(1); // five seconds after it was asked for
  expect(mine.isStale).toBe(true);
  answers[1]!.resolve(RENEWAL);
  await settled();
  expect(mine.isStale).toBe(false);
});

import { describe, expect, test } from "vitest";
import type { ClientMessage, ServerMessage } from "../protocol/messages.ts";
import { poolKeys } from "../redis/keys.ts";
import { places } from "./place.ts";
import type { Place } from "./place.ts";
import type { Visitor } from "./visitor.ts";

const open = places();

/** A small generator with a seed: the same numbers at each run. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Reads all records at one moment; `pool.lua` says what they hold. */
const PAIRED = `
  local found = {}
  for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
    local record = cmsgpack.unpack(redis.call('GET', key))
    if record.pair then table.insert(found, { key, record.pair, record.partner }) end
  end
  return found`;

/** The pairs in the store at one moment. Fails when one has not exactly its two. */
async function pairsOf(place: Place): Promise<Set<string>> {
  const prefix = `${poolKeys(place.prefix)}s:`;
  const found = (await place.redis.eval(PAIRED, 0, `${prefix}*`)) as [string, string, string][];
  const partnerOf = new Map(found.map(([key, pair, partner]) => [key, { pair, partner: prefix + partner }]));
  for (const [key, { pair, partner }] of partnerOf) {
    const other = partnerOf.get(partner);
    if (other?.pair !== pair || other.partner !== key)
      throw new Error(`the pair ${pair} has not its two in the store`);
  }
  return new Set(found.map(([, pair]) => pair));
}

/** How many tickets were passed over, and for no other reason. */
async function passedOver(place: Place, reason: string): Promise<number> {
  const name = "chatrandom_candidates_passed_over_total";
  const count = await place.count(`${name}{reason="${reason}"}`);
  expect(await place.count(name)).toBe(count);
  return count;
}

/**
 * What a visitor believes of their pairs, from what they heard and did. Notes what must not be. What was under way
 * when the visitor left or pressed Next still arrives; a ping sent along tells by its pong when that is over.
 */
class Diary {
  readonly visitor: Visitor;
  pair: string | undefined;
  readonly wrong: string[] = [];
  /** Pairs that another one replaced without a word: the other side must never have heard of them (M2). */
  readonly undone: string[] = [];
  readonly roles = new Map<string, string>();
  /** Whether the pair was made after all that was said; else what was said may have ended it. */
  #sure = true;
  #searching = false;
  #asked = 0;
  #answered = 0;

  constructor(visitor: Visitor) {
    this.visitor = visitor;
    visitor.socket.on("message", (data) => this.#hear(JSON.parse(String(data)) as ServerMessage));
  }

  says(message: ClientMessage): void {
    this.pair = undefined;
    this.#sure = true;
    this.#searching = message.type === "find";
    this.visitor.send(message);
    this.#asked += 1;
    this.visitor.send({ type: "ping", t: this.#asked });
  }

  get isIdle(): boolean {
    return this.pair === undefined && !this.#searching;
  }

  #hear(message: ServerMessage): void {
    const settled = this.#asked === this.#answered;
    switch (message.type) {
      case "matched":
        if (settled && !this.#searching) this.wrong.push(`matched to ${message.pair} without searching`);
        if (this.pair !== undefined && this.#sure) this.undone.push(this.pair);
        if (this.roles.has(message.pair)) this.wrong.push(`matched twice to ${message.pair}`);
        this.roles.set(message.pair, message.role);
        this.pair = message.pair;
        this.#sure = settled;
        break;
      case "waiting":
        this.pair = undefined;
        break;
      case "ended":
        if (this.#sure && settled && this.pair !== message.pair)
          this.wrong.push(`${message.pair} ended, which was none`);
        this.pair = undefined;
        if (settled) this.#searching = false;
        break;
      case "pong":
        if (message.t! < 1) break; // of somebody else's ping
        this.#answered = message.t!;
        if (!this.#searching) this.pair = undefined;
        break;
      case "error":
        this.wrong.push(JSON.stringify(message));
        break;
    }
  }
}

describe.each([1, 3])("on %i nodes", (nodes) => {
  test("M1: a hundred visitors who find, leave and press Next at once: nobody is in two pairs", async () => {
    const place = await open({ nodes, matching: { recentAfter: 0 } });
    const random = seeded(2);
    const diaries = await Promise.all(
      Array.from({ length: 100 }, async () => new Diary(await place.visitor())),
    );
    for (let turn = 0; turn < 60; turn += 1) {
      for (let n = 0; n < 25; n += 1) {
        const diary = diaries[random(diaries.length)]!;
        const mode = random(3) === 0 ? "text" : "video";
        diary.says(random(4) === 0 ? { type: "leave" } : { type: "find", mode });
      }
      if (turn % 10 === 0) await place.pass(250);
      await pairsOf(place);
    }

    // Whoever has nobody finds, until there is nobody left. What they believe then is what the store says.
    for (let idle = diaries; idle.length > 0; idle = diaries.filter(({ isIdle }) => isIdle)) {
      for (const diary of idle) diary.says({ type: "find", mode: "video" });
      await place.pass(3_000);
      for (const { visitor } of diaries) await visitor.heard();
    }
    const pairs = await pairsOf(place);
    const believed = new Map<string, Diary[]>();
    for (const diary of diaries) {
      if (diary.pair !== undefined) believed.set(diary.pair, [...(believed.get(diary.pair) ?? []), diary]);
      expect(diary.wrong).toEqual([]);
      for (const pair of diary.undone)
        expect(diaries.filter(({ roles }) => roles.has(pair))).toEqual([diary]);
    }
    expect([...believed.keys()].sort()).toEqual([...pairs].sort());
    for (const [pair, both] of believed) {
      expect(both.map(({ roles }) => roles.get(pair)).sort()).toEqual(["answerer", "offerer"]);
    }
    expect(pairs.size).toBe(50);
  });

  test("M1: two who ask for the same third, and one gets them", async () => {
    const place = await open({ nodes });
    for (let round = 0; round < 20; round += 1) {
      const mode = round % 2 === 0 ? "video" : "text";
      const [alice, bob, carol] = [await place.visitor(), await place.visitor(), await place.visitor()];
      carol.find({ mode });
      await carol.next("waiting");
      alice.find({ mode });
      bob.find({ mode });
      const first = await carol.next("matched");
      await place.settle();
      const heard = [await alice.heard(), await bob.heard()].flat();
      expect(heard.filter((message) => message.type === "matched")).toMatchObject([{ pair: first.pair }]);
      expect(heard.filter((message) => message.type === "waiting")).toHaveLength(1);
      for (const visitor of [alice, bob, carol]) visitor.send({ type: "leave" });
      for (const visitor of [alice, bob, carol]) await visitor.heard();
      await place.settle();
    }
  });

  test("M2: when the other side cannot be reached, a visitor is back at the old place without doing anything", async () => {
    const place = await open({ nodes });
    const [early, late] = [await place.visitor({ device: "one" }), await place.visitor({ device: "one" })];
    early.find({ mode: "video" });
    const { since } = await early.next("waiting");
    await place.pass(3_000);
    late.find({ mode: "text" });
    await late.next("waiting");
    await place.pass(1_000);
    const ghost = await place.ghost();
    late.send({ type: "leave" });
    await late.nothing();
    await place.settle();
    expect(await ghost.find("text")).toMatchObject({ kind: "waiting" });

    early.find({ mode: "text" });
    const { pair } = await early.next("matched");
    expect(await early.next("waiting")).toMatchObject({ since });
    early.send({ type: "signal", pair, data: {} });
    expect(await early.next("error")).toMatchObject({ code: "not_paired" });

    late.find({ mode: "text" });
    await late.next("waiting");
    const other = await place.visitor();
    other.find({ mode: "text" });
    const { pair: real } = await other.next("matched");
    expect(await early.next("matched")).toMatchObject({ pair: real });
    await late.nothing();
    expect(await place.count("chatrandom_matches_undone_total")).toBe(1);
  });

  test("M2: somebody claimed by a node that never says so is back at the old place too", async () => {
    const place = await open({ nodes });
    const [early, late] = [await place.visitor({ device: "one" }), await place.visitor({ device: "one" })];
    early.find();
    await early.next("waiting");
    await place.pass(3_000);
    late.find();
    await late.next("waiting");
    const ghost = await place.ghost();
    expect(await ghost.find("video")).toMatchObject({ kind: "matched" });

    await place.pass(35_000);
    const other = await place.visitor();
    other.find();
    const { pair } = await other.next("matched");
    expect(await early.eventually("matched")).toMatchObject({ pair });
    expect((await late.heard()).filter(({ type }) => type === "matched")).toEqual([]);
  });

  test("M3: nobody is matched with themself", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    for (let n = 0; n < 5; n += 1) {
      alice.find();
      await alice.next("waiting");
      await place.pass(11_000);
    }
    expect((await alice.heard()).filter(({ type }) => type !== "waiting")).toEqual([]);
  });

  test("M3: two sessions of one device do not meet, however long they wait", async () => {
    const place = await open({ nodes });
    const [one, two] = [await place.visitor({ device: "mine" }), await place.visitor({ device: "mine" })];
    for (const visitor of [one, two]) {
      visitor.find();
      await visitor.next("waiting");
      await place.pass(1_000);
    }
    expect(await passedOver(place, "device")).toBeGreaterThan(0);
    await place.pass(120_000);
    await one.nothing();
    await two.nothing();
    const other = await place.visitor({ device: "yours" });
    other.find();
    const { pair } = await other.next("matched");
    expect(await one.next("matched")).toMatchObject({ pair });
  });

  test("T7: of one device eight search at a time, and another one when one of them is done", async () => {
    const place = await open({ nodes });
    const tabs: Visitor[] = [];
    for (let n = 0; n < 9; n += 1) tabs.push(await place.visitor({ device: "mine" }));
    const [ninth, ...others] = tabs as [Visitor, ...Visitor[]];
    for (const tab of others) {
      tab.find();
      await tab.next("waiting");
      await place.pass(250);
    }
    ninth.find();
    expect(await ninth.next("error")).toMatchObject({ code: "too_many_sessions", retryAfter: 10 });
    await place.pass(60_000);
    await ninth.nothing();
    expect(await place.count('chatrandom_refused_total{reason="too_many_sessions"}')).toBe(1);
    others[0]!.send({ type: "leave" });
    await others[0]!.nothing();
    await place.settle();
    ninth.find();
    await ninth.next("waiting");
    const other = await place.visitor({ device: "yours" });
    other.find();
    const { pair } = await other.next("matched");
    expect(await others[1]!.next("matched")).toMatchObject({ pair });
  });

  test("M4: two who are alone meet again after 10 s, and hear why", async () => {
    const place = await open({ nodes });
    const [alice, bob] = await place.pair();
    alice.find();
    await bob.next("ended");
    await alice.next("waiting");
    await place.pass(2_000);
    bob.find();
    await bob.next("waiting");
    expect(await passedOver(place, "recent")).toBe(1);
    await place.pass(9_000);
    expect(await alice.next("waiting")).toMatchObject({ relaxed: ["recent"] });
    await bob.nothing();
    await place.pass(2_000);
    const { pair } = await alice.next("matched");
    expect(await bob.next("matched")).toMatchObject({ pair });
  });

  test("M5: only equal modes meet", async () => {
    const place = await open({ nodes });
    const [video, text] = [await place.visitor(), await place.visitor()];
    video.find({ mode: "video" });
    text.find({ mode: "text" });
    await video.next("waiting");
    await text.next("waiting");
    await place.pass(60_000);
    await video.nothing();
    await text.nothing();
    const other = await place.visitor();
    other.find({ mode: "text" });
    expect(await other.next("matched")).toMatchObject({ mode: "text" });
    expect(await text.next("matched")).toMatchObject({ mode: "text" });
    await video.nothing();
  });

  test("M5, M6: interests and languages reach the matcher, and both hear what they share", async () => {
    const place = await open({ nodes });
    const [chess, go] = [await place.visitor(), await place.visitor()];
    chess.find({ interests: ["Chess"], languages: ["de-AT"] });
    go.find({ interests: ["Go"] });
    await chess.next("waiting");
    await go.next("waiting");
    const other = await place.visitor();
    other.find({ interests: [" GO ", "chess"], languages: ["en", "de"] });
    const common = { interests: ["chess"], language: "de" };
    expect(await other.next("matched")).toMatchObject({ common });
    expect(await chess.next("matched")).toMatchObject({ common });
    await place.pass(6_000);
    expect(await go.next("waiting")).toMatchObject({ relaxed: ["interests"] });
  });

  test("M6: each preference that gives way is said with all that did, and counted once", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor({ node: 0 });
    alice.find({ interests: ["go"], languages: ["en"] });
    expect(await alice.next("waiting")).toMatchObject({ relaxed: [] });
    await place.pass(5_500);
    expect(await alice.next("waiting")).toMatchObject({ relaxed: ["interests"] });
    await place.pass(5_000);
    expect(await alice.next("waiting")).toMatchObject({ relaxed: ["interests", "languages"] });
    // Another wish is another message, but nothing gives way anew.
    alice.find({ interests: ["chess"], languages: ["en"] });
    expect(await alice.next("waiting")).toMatchObject({ relaxed: ["interests", "languages"] });
    await place.pass(60_000);
    await alice.nothing();
    expect(await place.count('chatrandom_relaxations_total{what="interests"}')).toBe(1);
    expect(await place.count('chatrandom_relaxations_total{what="languages"}')).toBe(1);
  });

  test("M7: of several the longest waiting goes first", async () => {
    const place = await open({ nodes });
    const waiting: Visitor[] = [];
    for (let n = 0; n < 5; n += 1) {
      const visitor = await place.visitor({ device: "same" });
      visitor.find();
      await visitor.next("waiting");
      waiting.push(visitor);
      await place.pass(1_000);
    }
    for (const visitor of waiting) {
      const other = await place.visitor();
      other.find();
      const { pair } = await other.next("matched");
      expect(await visitor.next("matched")).toMatchObject({ pair });
    }
  });

  test("M8: who is gone past the grace is never handed out", async () => {
    const place = await open({ nodes });
    const gone = await Promise.all(Array.from({ length: 8 }, () => place.visitor({ device: "one" })));
    for (const visitor of gone) visitor.find({ mode: "text" });
    for (const visitor of gone) await visitor.heard();
    for (const visitor of gone) await place.drop(visitor);
    await place.pass(21_000);
    const alice = await place.visitor();
    alice.find({ mode: "text" });
    await alice.next("waiting");
    await place.pass(30_000);
    await alice.nothing();
    expect(await place.redis.keys(`*${place.prefix}*:s:*`)).toHaveLength(1);
  });
});

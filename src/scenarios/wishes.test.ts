/** Wishes that somebody thought up to do harm. */
import { describe, expect, test } from "vitest";
import { places } from "./place.ts";

const open = places();

const range = <T>(count: number, of: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => of(n));

/** Ten interests of 32 characters each; `order` writes the same marks in another order. */
const odd = (order: (marks: string[]) => string[]): string[] => [
  ...range(4, (n) => String.fromCodePoint(0x1f600 + n).repeat(32)),
  // A family of four takes seven code points.
  "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}".repeat(4) + "\u{1f3fd}\u{1f3fd}\u{1f3fd}\u{1f3fd}",
  // Marks below and above a letter, whose order is no difference.
  ...range(2, (n) => "aeiou"[n] + order(range(31, (m) => (m % 2 === 0 ? "\u0323" : "\u0302"))).join("")),
  "' .. redis.call('flushall') .. '",
  "{pool}:s:\\r\\n*1\\r\\n$8\\r\\nflushdb",
  "\u0130\u00df\ufb01\u1e9e".repeat(8),
];

describe.each([1, 3])("on %i nodes", (nodes) => {
  test("M5: ten interests of emoji, combining marks and code, written in two ways, are the same ten", async () => {
    const place = await open({ nodes });
    const [alice, bob, carol] = [await place.visitor(), await place.visitor(), await place.visitor()];
    alice.find({ interests: odd((marks) => marks), strict: true });
    await alice.next("waiting");
    carol.find({ interests: ["something else"], strict: true });
    await carol.next("waiting");
    bob.find({ interests: odd((marks) => marks.toSorted()).toReversed(), strict: true });
    const { pair, common } = await bob.next("matched");
    expect(common.interests).toHaveLength(10);
    const theirs = await alice.next("matched");
    expect(theirs.pair).toBe(pair);
    expect(theirs.common.interests.toSorted()).toEqual(common.interests.toSorted());
    await carol.nothing();
  });

  test("T5: one more character, one more interest or a language that is none is refused, and says where", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    for (const [wished, field] of [
      [{ interests: ["\u{1f600}".repeat(33)] }, "interests"],
      [{ interests: range(11, String) }, "interests"],
      [{ interests: ["\u0000"] }, "interests"],
      [{ languages: ["flushall"] }, "languages"],
      [{ languages: range(6, () => "en") }, "languages"],
    ] as const) {
      alice.find(wished as object);
      const { code, field: said } = await alice.next("error");
      expect([code, said?.replace(/\[\d+\]$/, "")]).toEqual(["invalid_message", field]);
    }
    expect((await place.matcher.census(9)).waiting).toEqual({ video: 0, text: 0 });
  });

  test("T7: what one address can make the pool hold is bounded, and gone when it goes", async () => {
    const rate = { burst: 40, perSecond: 1 };
    const any = { burst: 1e6, perSecond: 1e6 };
    const place = await open({
      nodes,
      rules: { addressRates: { connections: any, sessions: rate, finds: rate } },
      addressOf: () => "203.0.113.5",
    });
    const crowd = await Promise.all(
      range(60 * nodes, async (n) => {
        const visitor = await place.connect({ node: n % nodes });
        return await visitor.hello().then(
          () => visitor,
          () => undefined,
        );
      }),
    );
    const inside = crowd.filter((visitor) => visitor !== undefined);
    expect(inside).toHaveLength(40 * nodes);
    for (let turn = 0; turn < 5; turn += 1) {
      for (const [n, visitor] of inside.entries()) {
        const interests = range(10, (i) => `interest ${i} of ${n} in turn ${turn}`);
        visitor.find({ interests, languages: ["en", "fr", "de", "es", "it"], strict: true });
      }
      for (const visitor of inside) await visitor.heard();
      await place.settle();
      const { waiting, interests } = await place.matcher.census(10_000);
      expect([waiting.video, interests.length]).toEqual([40 * nodes, 400 * nodes]);
      // None of the others were taken: time stands still.
      expect(interests.filter(({ interest }) => !interest.endsWith("turn 0"))).toEqual([]);
    }
    for (const visitor of inside) await place.drop(visitor);
    await place.pass(21_000);
    expect(await place.matcher.census(10_000)).toMatchObject({
      waiting: { video: 0, text: 0 },
      interests: [],
    });
    const lists = await place.redis.keys(`*${place.prefix}*:video:*`);
    expect(lists).toEqual([]);
  });
});

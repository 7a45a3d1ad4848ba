import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { script } from "../redis/scripts.ts";
import poolLua from "./lua/pool.lua";
import { startTestStore } from "./test-pool.ts";
import type { TestStore } from "./test-pool.ts";

let store: TestStore;
beforeAll(async () => void (store = await startTestStore()));
afterAll(() => store.stop());

/** The lists of some tickets, each four arguments: mode, interests, languages, what gave way. */
const listsOf = script(
  "lists",
  poolLua,
  `local answer = {}
   for at = 4, #ARGV, 4 do
     local interests, languages = {}, {}
     for interest in string.gmatch(ARGV[at + 1], '[^\\n]+') do interests[#interests + 1] = interest end
     for language in string.gmatch(ARGV[at + 2], '[^\\n]+') do languages[#languages + 1] = language end
     answer[#answer + 1] = lists(ARGV[at], interests, languages, tonumber(ARGV[at + 3]))
   end
   return answer`,
);

interface Filed {
  mode: "video" | "text";
  interests: string[];
  languages: string[];
  /** What it insists on; nobody can insist on what they have not wished. */
  insists: { interests: boolean; languages: boolean };
}

// Interests that look like parts of keys: two lists must never get one key.
const ODD = ["go", "en:go", "il:en:go", "open", ":", "i:go", "l:en", "{pool}", "é", "👩‍👩‍👧"];
const filed: fc.Arbitrary<Filed> = fc
  .record({
    mode: fc.constantFrom("video" as const, "text" as const),
    interests: fc.oneof(
      fc.constant<string[]>([]),
      fc.shuffledSubarray(ODD),
      fc.shuffledSubarray(ODD.slice(0, 3)),
    ),
    languages: fc.oneof(fc.constant<string[]>([]), fc.shuffledSubarray(["en", "fr", "il", "l"])),
    insists: fc.record({ interests: fc.boolean(), languages: fc.boolean() }),
  })
  .map(({ insists, ...wish }) => ({
    ...wish,
    insists: {
      interests: insists.interests && wish.interests.length > 0,
      languages: insists.languages && wish.languages.length > 0,
    },
  }));

/** M5 and M6 in so many words: equal modes, and each side that insists on something shares it. */
function mayMeet(a: Filed, b: Filed): boolean {
  const shares = (what: "interests" | "languages") => a[what].some((one) => b[what].includes(one));
  const content = (what: "interests" | "languages") => (!a.insists[what] && !b.insists[what]) || shares(what);
  return a.mode === b.mode && content("interests") && content("languages");
}

async function lists(tickets: Filed[]): Promise<string[][]> {
  const args = tickets.flatMap(({ mode, interests, languages, insists }) => [
    mode,
    interests.join("\n"),
    languages.join("\n"),
    (insists.interests ? 0 : 1) + (insists.languages ? 0 : 2),
  ]);
  return (await listsOf(store.redis, ["{pool}:"], [0, 0, 0, ...args])) as string[][];
}

test("M5, M6: two tickets share a list if and only if their preferences let them meet", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(filed, { minLength: 2, maxLength: 30, size: "max" }), async (tickets) => {
      const keys = await lists(tickets);
      for (const [a, one] of tickets.entries()) {
        for (const [b, other] of tickets.entries()) {
          const share = keys[a]!.some((key) => keys[b]!.includes(key));
          if (a !== b && share !== mayMeet(one, other)) expect({ one, other, share }).toBeUndefined();
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("a ticket stands in at most 66 lists, each once", async () => {
  const interests = Array.from({ length: 10 }, (_, n) => `interest ${n}`);
  const languages = ["en", "fr", "de", "es", "it"];
  const open = { interests: false, languages: false };
  const [keys] = await lists([{ mode: "video", interests, languages, insists: open }]);
  expect(new Set(keys).size).toBe(66);
  expect(keys).toHaveLength(66);
});

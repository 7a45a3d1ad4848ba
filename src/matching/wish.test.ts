import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readWish } from "./wish.ts";

const interests = (...written: string[]) => {
  const read = readWish({ mode: "video", interests: written });
  return "wish" in read ? read.wish.interests : read.field;
};
const languages = (...written: string[]) => {
  const read = readWish({ mode: "video", languages: written });
  return "wish" in read ? read.wish.languages : read.field;
};

test("what is not given is empty and not strict", () => {
  expect(readWish({ mode: "text" })).toEqual({
    wish: { mode: "text", interests: [], languages: [], strict: false },
  });
});

describe("M5: interests compare case-folded, trimmed, NFC", () => {
  test.each([
    ["case", ["Chess", "CHESS"], ["chess"]],
    ["outer and inner white space", ["  board \t games\u00a0", "Board Games"], ["board games"]],
    ["composition", ["caf\u00e9", "cafe\u0301"], ["caf\u00e9"]],
    [
      "marks in another order, of which one folds to a letter",
      ["\u1fb4", "\u03b1\u0345\u0301"],
      ["\u03ac\u03b9"],
    ],
    ["a letter that folding takes apart", ["\u01f0", "J\u030c"], ["\u01f0"]],
    ["a letter that is two when folded", ["Straße", "STRASSE", "STRAẞE"], ["strasse"]],
    ["a letter with two small forms", ["ΟΔΟΣ", "οδος", "οδοσ"], ["οδος"]],
    ["empty ones", ["", "   ", "\u200b", "\u00ad"], []],
    ["a family of emoji, which stays whole", ["👩‍👩‍👧"], ["👩‍👩‍👧"]],
  ])("M5: %s", (_, written, read) => {
    expect(interests(...written)).toEqual(read);
  });

  test("M5: every letter folds to something that folds to itself", () => {
    const changed = [];
    for (let code = 0; code <= 0x10ffff; code++) {
      const letter = String.fromCodePoint(code);
      if (!/[\p{L}\p{M}]/u.test(letter)) continue;
      const once = interests(letter);
      if (interests(...once).toString() !== once.toString()) changed.push(letter);
    }
    expect(changed).toEqual([]);
  });

  test("M5: normalising twice changes nothing", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 32 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 10 }), (written) => {
        const once = interests(...written);
        if (typeof once === "string") return;
        expect(interests(...once)).toEqual(once);
      }),
      { numRuns: 500 },
    );
  });
});

describe("bad interests", () => {
  test.each(["a\u0000b", "a\u001b[2J", "\u202eabc", "\u2066abc", "\ud800", "a\u2028b"])(
    "refused: %j",
    (bad) => {
      expect(interests("chess", bad)).toBe("interests");
    },
  );

  test("what looks like keys, Lua or JSON is an interest like any other", () => {
    const odd = ["{pool}:s:anna", "il:en:go", "' .. redis.call('flushall') .. '", '"]}', "$1\\", "__proto__"];
    expect(interests(...odd)).toEqual(odd);
  });

  test("no interest grows without bound by folding, and none gets more than one line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 32 }), (written) => {
        const read = interests(written);
        if (typeof read === "string") return true;
        return read.every((interest) => [...interest].length <= 3 * 32 && !/[\n\r]/.test(interest));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("languages", () => {
  test.each([
    [["en", "en-GB", "EN-us"], ["en"]],
    [["zh-Hant-TW", "cmn"], ["zh"]],
    [["iw"], ["he"]],
    [["nb-NO", "nn", "no"], ["no"]],
    [[" pt-BR ", ""], ["pt"]],
  ])("%j are %j", (written, read) => {
    expect(languages(...written)).toEqual(read);
  });

  test.each(["english", "x-klingon", "und", "mul", "zxx", "en:video", "e", "e\nn", "*", "🇬🇧", "en_GB"])(
    "refused: %j",
    (bad) => {
      expect(languages("en", bad)).toBe("languages");
    },
  );
});

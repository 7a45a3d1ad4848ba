import { CALL_CAUSES, CALL_OUTCOMES, CANDIDATE_TYPES, REPORT_REASONS } from "../protocol/messages.ts";
import type { Chance } from "./simulation/chance.ts";

export interface Frame {
  data: string | Uint8Array;
  binary: boolean;
}

type Fields = Record<string, unknown>;

/**
 * Frames that a stranger might send: messages of the protocol, the same with something wrong in them, JSON of any kind,
 * and noise. `pairs` are ids that exist, or did.
 */
export function anyFrame(chance: Chance, pairs: readonly string[]): Frame {
  switch (chance.weighted({ valid: 20, wrong: 10, json: 2, text: 1, cut: 3, bytes: 0.3, binary: 0.1 })) {
    case "valid":
      return text(JSON.stringify(message(chance, pairs)));
    case "wrong":
      return text(JSON.stringify(wrong(chance, message(chance, pairs))));
    case "json":
      return text(JSON.stringify(value(chance, 4)) ?? "");
    case "text":
      return text(words(chance));
    case "cut":
      return text(scratched(chance, JSON.stringify(message(chance, pairs))));
    case "bytes":
      return { data: chance.bytes(chance.whole(100)), binary: false };
    case "binary":
      return { data: chance.bytes(chance.whole(100)), binary: true };
  }
}

/** A message of the protocol, wrong at most in the pair that it names. */
export const validFrame = (chance: Chance, pairs: readonly string[]): Frame =>
  text(JSON.stringify({ ...message(chance, pairs), ...(chance.happens(0.5) && { more: value(chance, 1) }) }));

const text = (data: string): Frame => ({ data, binary: false });

function message(chance: Chance, pairs: readonly string[]): Fields {
  const pair = pairs.length > 0 && chance.happens(0.8) ? one(chance, pairs) : words(chance);
  switch (
    chance.weighted({
      signal: 4,
      ping: 2,
      leave: 1,
      find: 1,
      block: 0.5,
      report: 0.3,
      quality: 0.3,
      hello: 0.1,
    })
  ) {
    case "signal":
      return { type: "signal", pair, data: object(chance, 3) };
    case "ping":
      return chance.happens(0.5) ? { type: "ping" } : { type: "ping", t: chance.next() };
    case "leave":
      return { type: "leave" };
    case "find":
      return {
        type: "find",
        mode: one(chance, ["video", "text"]),
        interests: several(chance, 10, () => one(chance, ["chess", "Go", "música", "음악"])),
        languages: several(chance, 5, () => one(chance, ["en", "de-AT", "zh-Hant", "pt"])),
        strict: chance.happens(0.2),
        ...(chance.happens(0.3) && { offer: words(chance) || "v=0" }),
      };
    case "block":
      return { type: "block", pair };
    case "report":
      return {
        type: "report",
        pair,
        reason: one(chance, REPORT_REASONS),
        details: words(chance).slice(0, 200),
      };
    case "quality":
      return {
        type: "quality",
        pair,
        outcome: one(chance, CALL_OUTCOMES),
        cause: one(chance, CALL_CAUSES),
        way: { local: "host", remote: one(chance, CANDIDATE_TYPES), transport: "udp" },
        firstFrame: chance.whole(100_000),
      };
    case "hello":
      return { type: "hello", resume: words(chance) || "x", device: "d", lang: "en" };
  }
}

/** The message with a field of another kind, without one, or with one more. */
function wrong(chance: Chance, fields: Fields): Fields {
  const names = Object.keys(fields);
  const name = one(chance, names);
  switch (chance.weighted({ other: 5, without: 2, more: 2, type: 1, long: 0.1 })) {
    case "other":
      return { ...fields, [name]: value(chance, 3) };
    case "without":
      return Object.fromEntries(Object.entries(fields).filter(([other]) => other !== name));
    case "more":
      return { ...fields, [one(chance, ODD_NAMES)]: value(chance, 3) };
    case "type":
      return { ...fields, type: one(chance, [...ODD_NAMES, "welcome", "matched", "signal ", "SIGNAL"]) };
    case "long":
      return { ...fields, [name]: "x".repeat(chance.whole(70_000)) };
  }
}

const ODD_NAMES = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "type",
  "to",
  "session",
  "",
  "\u0000",
];
const ODD_NUMBERS = [0, -0, -1, 1e308, 5e-324, 2 ** 53, 0.1, 4294967296];
const ODD_TEXTS = [
  "",
  " ",
  "\u0000",
  "\ud800",
  "\udfff\ud800",
  "\u202e",
  "🎥",
  "null",
  "[object Object]",
  "{pool}:",
  "*",
  "\n",
];

function value(chance: Chance, depth: number): unknown {
  switch (
    chance.weighted({ text: 4, number: 3, flag: 1, nothing: 1, list: depth, object: depth, deep: 0.2 })
  ) {
    case "text":
      return words(chance);
    case "number":
      return chance.happens(0.5) ? one(chance, ODD_NUMBERS) : chance.next() * 1e6;
    case "flag":
      return chance.happens(0.5);
    case "nothing":
      return null;
    case "list":
      return several(chance, 12, () => value(chance, depth - 1));
    case "object":
      return object(chance, depth - 1);
    case "deep":
      return deep(chance.whole(2_000));
  }
}

function object(chance: Chance, depth: number): Fields {
  return Object.fromEntries(
    several(chance, 5, () => [
      chance.happens(0.3) ? one(chance, ODD_NAMES) : words(chance).slice(0, 20),
      depth > 0 ? value(chance, depth - 1) : words(chance),
    ]),
  );
}

/** A list in a list in a list. */
function deep(depth: number): unknown {
  let inner: unknown = [];
  for (let level = 0; level < depth; level += 1) inner = [inner];
  return inner;
}

function words(chance: Chance): string {
  if (chance.happens(0.3)) return one(chance, ODD_TEXTS);
  return String.fromCharCode(...several(chance, 40, () => chance.whole(chance.happens(0.9) ? 128 : 65_536)));
}

/** With characters taken out, put in, doubled or swapped, or cut short. */
function scratched(chance: Chance, whole: string): string {
  let scratching = whole;
  for (let times = 1 + chance.whole(4); times > 0; times -= 1) {
    const at = chance.whole(scratching.length + 1);
    const [before, after] = [scratching.slice(0, at), scratching.slice(at)];
    scratching = one(chance, [
      before,
      before + after.slice(1),
      before + words(chance) + after,
      before + one(chance, [...'{}[]",:\\0-.e']) + after.slice(1),
      before + before + after,
    ]);
  }
  return scratching.slice(0, 60_000);
}

function several<T>(chance: Chance, most: number, make: () => T): T[] {
  return Array.from({ length: chance.whole(most + 1) }, make);
}

const one = <T>(chance: Chance, choices: readonly T[]): T => choices[chance.whole(choices.length)]!;

import { expect, test } from "vitest";
import { words } from "../locales/en.ts";
import {
  languageName,
  sharedWords,
  tell,
  tellAddress,
  tellOthers,
  tellServer,
  type Situation,
} from "./status.ts";

const waiting: Situation = {
  phase: "waiting",
  mode: "video",
  server: { state: "open" },
  media: "granted",
  online: 40,
  othersLooking: 3,
  otherTab: false,
  mayMeetAgain: false,
  ended: null,
  relaxed: [],
  trouble: null,
  common: null,
  addressHidden: "no",
  strangerCameraOn: true,
};

test("somebody left waiting reads why, and that the search goes on", () => {
  const telling = tell({ ...waiting, ended: "lost" });
  expect(telling.title).toBe(words.stage.lookingAgain);
  expect(telling.lines).toEqual([words.ended.lost]);
});

test("every relaxed preference is told, but to whom is alone nothing else", () => {
  const relaxed = { ...waiting, relaxed: ["interests", "recent"] } as const;
  expect(tell(relaxed).lines).toEqual([words.relaxed.interests, words.relaxed.recent]);
  const all = { ...waiting, relaxed: ["languages", "interests", "recent"] } as const;
  expect(tell(all).lines).toEqual([words.relaxed.both, words.relaxed.recent]);
  expect(tell({ ...relaxed, online: 1 }).lines).toEqual([words.stage.alone]);
  expect(tell({ ...waiting, online: null }).lines).toEqual([]);
});

test("who looks in another tab, too, reads that the two never meet, and how to try it alone", () => {
  const { otherTab, alone } = words.stage;
  expect(tell({ ...waiting, otherTab: true, online: 1 }).lines).toEqual([otherTab]);
  expect(tell({ ...waiting, otherTab: true, relaxed: ["languages"], ended: "left" }).lines).toEqual([
    words.ended.left,
    otherTab,
    words.relaxed.languages,
  ]);
  expect(tell({ ...waiting, online: 1 }).lines).toEqual([alone]);
});

test("when only one other looks, who has met somebody reads that it may be the same again, until that has come", () => {
  const two = { ...waiting, online: 2, othersLooking: 1, mayMeetAgain: true } as const;
  expect(tell(two).lines).toEqual([words.stage.mayMeetAgain]);
  expect(tell({ ...two, relaxed: ["recent"] }).lines).toEqual([words.relaxed.recent]);
  for (const change of [{ mayMeetAgain: false }, { othersLooking: 0 }, { othersLooking: 2 }])
    expect(tell({ ...two, ...change }).lines).toEqual([]);
  expect(tell({ ...two, online: 1 }).lines).toEqual([words.stage.alone]);
  expect(tell({ ...two, otherTab: true }).lines).toEqual([words.stage.otherTab]);
});

test("one other who looks and is not found may want another mode, for the number counts both", () => {
  const one = { ...waiting, othersLooking: 1 } as const;
  expect(tellOthers(one)).toBe("One other is looking, perhaps for text only.");
  expect(tellOthers({ ...one, mode: "text" })).toBe("One other is looking, perhaps for video only.");
  expect(tellOthers({ ...one, othersLooking: 0 })).toBe("Nobody else is looking at this moment.");
  expect(tellOthers({ ...one, othersLooking: 1_200 })).toBe("1,200 others are looking as well.");
});

test.each<Partial<Situation>>([
  { phase: "talking" },
  { server: { state: "reconnecting", attempt: 1 } },
  { trouble: "tooFast" },
  { othersLooking: null },
  { online: null },
  { online: 1, othersLooking: 0 },
])("nothing is said of others who look while %j", (change) => {
  expect(tellOthers({ ...waiting, ...change })).toBeNull();
});

test("who waits while the server is away is told so, and nothing of a search that nobody makes", () => {
  const server = { state: "reconnecting", attempt: 1 } as const;
  const told = { title: words.stage.searchHalts, lines: [words.server.reconnecting] };
  expect(tell({ ...waiting, server, relaxed: ["recent"], ended: "left" })).toEqual(told);
  expect(tell({ ...waiting, server, phase: "talking" }).title).toBe(words.stage.talking);
});

test.each(Object.keys(words.trouble.halted) as (keyof typeof words.trouble.halted)[])(
  "a search that halts (%s) says why, and that it goes on",
  (trouble) => {
    expect(tell({ ...waiting, trouble, relaxed: ["recent"] })).toEqual(words.trouble.halted[trouble]);
    expect(words.trouble.halted[trouble].lines.length).toBeGreaterThan(0);
  },
);

test.each(Object.keys(words.trouble.failed) as (keyof typeof words.trouble.failed)[])(
  "a call that failed (%s) says what happened and what helps, in every phase",
  (trouble) => {
    for (const phase of ["connecting", "talking", "waiting"] as const)
      expect(tell({ ...waiting, phase, trouble })).toEqual(words.trouble.failed[trouble]);
    expect(words.trouble.failed[trouble].lines.length).toBeGreaterThan(0);
  },
);

test.each([
  ["noWayThrough", "no", "No way through", /would not let you reach each other.*press Next/, /without a VPN/],
  ["noWayThrough", "byVisitor", "No way through", /Your address is hidden.*press Next/, /my address” off/],
  [
    "noWayThrough",
    "byPlace",
    "No way through",
    /All calls here take.*relay.*press Next/,
    /people who run this/,
  ],
  ["strangerSilent", "no", "No answer from them", /Their browser says nothing/, /Press Next/],
  ["browserRefused", "no", "Your browser makes no more calls", /Close other tabs/, /load this page again/],
  ["broken", "no", "The connection broke", /way between you was lost/, /Press Next/],
] as const)("%s, the address hidden %s: %s", (trouble, addressHidden, title, what, help) => {
  const told = tell({ ...waiting, phase: "connecting", trouble, addressHidden });
  expect(told.title).toBe(title);
  expect(told.lines[0]).toMatch(what);
  expect(told.lines.at(-1)).toMatch(help);
});

test.each(["strangerSilent", "browserRefused", "broken"] as const)(
  "that the address is hidden does not matter to %s",
  (trouble) => {
    for (const addressHidden of ["byVisitor", "byPlace"] as const)
      expect(tell({ ...waiting, trouble, addressHidden })).toEqual(words.trouble.failed[trouble]);
  },
);

test("a server that is away says what becomes of a call, and after a while whose network it may be", () => {
  const away = (attempt: number) => ({ state: "reconnecting", attempt }) as const;
  expect(tellServer({ state: "open" }, "home")).toBeNull();
  expect(tellServer(away(0), "home")).toBeNull();
  expect(tellServer(away(1), "talking")).toBe(words.server.callGoesOn);
  expect(tellServer(away(1), "connecting")).toBe(words.server.callWaits);
  expect(tellServer(away(3), "home")).toBe(words.server.reconnecting);
  expect(tellServer(away(4), "waiting")).toBe(words.server.stillAway);
  for (const phase of ["home", "waiting"] as const)
    expect(tellServer({ ...away(4), full: true }, phase)).toBe(words.server.full);
});

test.each([
  ["no", true, words.address.hint, false, false],
  ["no", null, words.address.hint, false, false],
  ["no", false, words.address.cannot, true, false],
  ["byVisitor", true, words.address.hint, false, false],
  ["byVisitor", null, words.address.hint, false, false],
  ["byVisitor", false, words.address.lacking, false, true],
  ["byPlace", true, words.address.byPlace, true, false],
  ["byPlace", false, words.address.lackingByPlace, true, true],
] as const)("an address hidden %s, relay offered %s", (hidden, offered, hint, locked, lacking) => {
  expect(tellAddress(hidden, offered)).toEqual({ hint, locked, lacking });
});

test("a stranger without a picture is told of, and only where pictures belong", () => {
  const dark = { ...waiting, phase: "talking", strangerCameraOn: false } as const;
  expect(tell(dark).title).toBe(words.stage.cameraOff);
  expect(tell({ ...dark, mode: "text" }).title).toBe(words.stage.talking);
});

test("at most three shared interests are named", () => {
  const [line] = sharedWords({ interests: ["a1", "b2", "c3", "d4"] });
  expect(line).toContain("c3");
  expect(line).not.toContain("d4");
});

test("a stranger's language that is none is shown as it came and breaks nothing", () => {
  expect(languageName("pt")).toBe("Portuguese");
  expect(languageName("<b>")).toBe("<b>");
});

import { expect, test } from "vitest";
import { words } from "../locales/en.ts";
import { languageName, sharedWords, tell, type Situation } from "./status.ts";

const waiting: Situation = {
  phase: "waiting",
  mode: "video",
  media: "granted",
  online: 40,
  ended: null,
  relaxed: [],
  trouble: null,
  common: null,
  strangerCameraOn: true,
};

test("somebody left waiting reads why, and that the search goes on", () => {
  const telling = tell({ ...waiting, ended: "lost" });
  expect(telling.title).toBe(words.stage.lookingAgain);
  expect(telling.lines).toEqual([words.ended.lost]);
});

test("every relaxed preference is told, and being alone as well", () => {
  const { lines } = tell({ ...waiting, relaxed: ["interests", "recent"], online: 1 });
  expect(lines).toEqual([words.relaxed.interests, words.relaxed.recent, words.stage.alone]);
  expect(tell({ ...waiting, online: null }).lines).toEqual([]);
});

test("no way through is told in every phase", () => {
  for (const phase of ["connecting", "talking", "waiting"] as const) {
    expect(tell({ ...waiting, phase, trouble: "noWayThrough" }).title).toBe(words.trouble.noWayThrough);
  }
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

import { expect, test } from "vitest";
import {
  deviceToken,
  isLanguageTag,
  keepPreferences,
  keepSession,
  keptPreferences,
  takeSession,
  withinLimits,
} from "./kept.ts";
import type { KeptSession } from "./kept.ts";
import { fakeStorage } from "./testing/fakes.ts";

const forbidden = {
  getItem() {
    throw new Error("SecurityError");
  },
  setItem() {
    throw new Error("QuotaExceededError");
  },
  removeItem() {
    throw new Error("SecurityError");
  },
};

const session: KeptSession = {
  resume: "token",
  mode: "video",
  call: { pair: "p", role: "offerer", generation: 2, common: { interests: ["go"] } },
};

test("a session is taken once: a reload finds it, a duplicated tab does not", () => {
  const tab = fakeStorage();
  keepSession(tab, session);
  expect(takeSession(tab)).toEqual(session);
  const duplicate = fakeStorage({ ...tab.entries });
  expect(takeSession(duplicate)).toBeNull();
});

test("what is not whole is left out", () => {
  const taken = (value: unknown) => takeSession(fakeStorage({ "chatrandom.session": JSON.stringify(value) }));
  expect(taken(null)).toBeNull();
  expect(taken({ mode: "video" })).toBeNull();
  expect(taken({ resume: "t", mode: "smoke" })).toEqual({ resume: "t" });
  expect(taken({ resume: "t", mode: "text", call: { pair: 1 } })).toEqual({ resume: "t", mode: "text" });
  expect(taken({ ...session, mode: undefined })).toEqual({ resume: "token" });
  expect(takeSession(fakeStorage({ "chatrandom.session": "{" }))).toBeNull();
});

test("the device token stays; without storage there is one for this page", () => {
  const site = fakeStorage();
  let made = 0;
  const make = () => `0123456789abcdef${made++}`;
  expect(deviceToken(site, make)).toBe(deviceToken(site, make));
  expect(made).toBe(1);
  expect(deviceToken(null, make)).not.toBe(deviceToken(null, make));
  expect(deviceToken(fakeStorage({ "chatrandom.device": '"x"' }), () => "new")).toBe("new");
});

test("a browser that forbids storage is no hindrance", () => {
  expect(takeSession(forbidden)).toBeNull();
  expect(() => keepSession(forbidden, session)).not.toThrow();
  expect(deviceToken(forbidden, () => "token")).toBe("token");
  expect(keptPreferences(forbidden)).toEqual({
    interests: [],
    languages: [],
    strict: false,
    hideAddress: false,
  });
});

test("preferences stay, within what the node accepts", () => {
  const site = fakeStorage();
  const wanted = withinLimits({
    interests: [
      " chess ",
      "chess ",
      "",
      "x".repeat(33),
      "👋".repeat(32),
      ...Array.from({ length: 12 }, (_, i) => `i${i}`),
    ],
    languages: ["en", "de-CH", "no language", "en", "fr", "es", "it", "pt"],
    strict: true,
    hideAddress: false,
  });
  expect(wanted.interests).toHaveLength(10);
  expect(wanted.interests.slice(0, 3)).toEqual(["chess", "👋".repeat(32), "i0"]);
  expect(wanted.languages).toEqual(["en", "de-CH", "fr", "es", "it"]);
  keepPreferences(site, wanted);
  expect(keptPreferences(site)).toEqual(wanted);
  expect(
    keptPreferences(fakeStorage({ "chatrandom.preferences": '{"interests":7,"strict":"yes"}' })),
  ).toEqual({
    interests: [],
    languages: [],
    strict: false,
    hideAddress: false,
  });
});

test("some browsers report locales that are no languages", () => {
  expect(isLanguageTag("en-US")).toBe(true);
  expect(isLanguageTag("zh-Hant-TW")).toBe(true);
  expect(isLanguageTag("en-US@posix")).toBe(false);
  expect(isLanguageTag("")).toBe(false);
});

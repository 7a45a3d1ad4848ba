import { expect, test } from "vitest";
import type { Phase } from "../model/state.ts";
import { escapeMeans, type EscapePress } from "./keys.ts";

const press: EscapePress = {
  key: "Escape",
  repeat: false,
  isComposing: false,
  defaultPrevented: false,
  modified: false,
  typing: false,
  covered: false,
  phase: "talking",
};

test("Escape is Next while there is a partner, and only then", () => {
  const meaning = (phase: Phase) => escapeMeans({ ...press, phase });
  expect(meaning("talking")).toBe("next");
  expect(meaning("connecting")).toBe("next");
  for (const phase of ["home", "starting", "waiting"] as const) expect(meaning(phase)).toBe(null);
});

test("in the text box the first Escape leaves the box and not the stranger", () => {
  expect(escapeMeans({ ...press, typing: true })).toBe("blur");
});

test("a held key, a composing input method, a modifier or an open dialog never leaves the stranger", () => {
  for (const guard of ["repeat", "isComposing", "defaultPrevented", "modified", "covered"] as const) {
    expect(escapeMeans({ ...press, [guard]: true }), guard).toBe(null);
    expect(escapeMeans({ ...press, [guard]: true, typing: true }), `${guard} while typing`).toBe(null);
  }
});

test("other keys mean nothing", () => {
  for (const key of ["Enter", " ", "n", "Tab"]) expect(escapeMeans({ ...press, key })).toBe(null);
});

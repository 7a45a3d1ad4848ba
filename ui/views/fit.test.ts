import { expect, test } from "vitest";
import { cornerAfter, fit, nearestCorner } from "./fit.ts";

test("a picture of nearly the window's shape fills it without a gap", () => {
  const drawn = fit({ width: 1280, height: 720 }, { width: 1000, height: 700 });
  expect(drawn.height).toBe(700);
  expect(drawn.width).toBeGreaterThan(1000);
});

test("a wide picture on a tall phone keeps most of its width instead of a narrow strip", () => {
  const phone = { width: 374, height: 690 };
  const drawn = fit({ width: 1280, height: 720 }, phone);
  expect(drawn.width / drawn.height).toBeCloseTo(16 / 9, 1);
  expect(phone.width / drawn.width).toBeGreaterThan(0.5);
  expect(drawn.height).toBeLessThan(phone.height);
});

test("before the first frame, when there is no size yet, the picture takes the window", () => {
  expect(fit({ width: 0, height: 0 }, { width: 300, height: 200 })).toEqual({ width: 300, height: 200 });
});

test("the own picture snaps to the corner it was let go at, and goes round all four by key", () => {
  const stage = { width: 400, height: 300 };
  expect(nearestCorner(10, 10, stage)).toBe("top-left");
  expect(nearestCorner(390, 10, stage)).toBe("top-right");
  expect(nearestCorner(-50, 500, stage)).toBe("bottom-left");
  const round = ["top-right", "", "", ""] as ReturnType<typeof cornerAfter>[];
  for (let i = 1; i < 4; i++) round[i] = cornerAfter(round[i - 1]!);
  expect(new Set(round).size).toBe(4);
  expect(cornerAfter(round[3]!)).toBe("top-right");
});

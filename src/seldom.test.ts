import { expect, test } from "vitest";
import { seldom } from "./seldom.ts";
import { StillClock } from "./still-clock.ts";

test("what is asked for often is done at once, and again only after a while; its answer is good until then", () => {
  const clock = new StillClock();
  let done = 0;
  const ask = seldom(clock, 1_000, () => (done += 1));
  for (let n = 0; n < 5; n += 1) expect(ask()).toBe(1);
  clock.move(999);
  expect(ask()).toBe(1);
  clock.move(1);
  expect([ask(), done]).toEqual([2, 2]);
});

import { expect, test } from "vitest";
import { seldom } from "./seldom.ts";
import { StillClock } from "./still-clock.ts";

test("what is asked for often is done at once, and again only after a while", () => {
  const clock = new StillClock();
  let done = 0;
  const ask = seldom(clock, 1_000, () => (done += 1));
  for (let n = 0; n < 5; n += 1) ask();
  clock.move(999);
  ask();
  expect(done).toBe(1);
  clock.move(1);
  ask();
  expect(done).toBe(2);
});

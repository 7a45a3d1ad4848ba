import { expect, test } from "vitest";
import { places } from "./place.ts";

const open = places();

test("time does not pass while what one node tells another is on its way", async () => {
  const place = await open({ nodes: 2, lag: 50 });
  const [alice, bob] = [await place.visitor({ node: 0 }), await place.visitor({ node: 1 })];
  alice.find();
  await alice.next("waiting");
  bob.find();
  const { pair } = await bob.next("matched");
  // Longer than the other side has to hear of it (M2).
  await place.pass(3_000);
  expect(await alice.next("matched")).toMatchObject({ pair });
  expect(await place.count("chatrandom_matches_undone_total")).toBe(0);
});

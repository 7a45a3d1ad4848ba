import { expect, test } from "vitest";
import { registryKey } from "../redis/keys.ts";
import { places } from "./place.ts";

const open = places();

test("M2, M7: who waits on a node that cannot be reached stands in nobody's way", async () => {
  const place = await open({ nodes: 2 });
  const card = { node: "ghost", endpoint: "tcp://127.0.0.1:9", publicKey: "0".repeat(40) };
  await place.redis.hset(registryKey(place.prefix), "ghost", JSON.stringify(card));
  const ghost = await place.ghost();
  await place.pass(1_000);
  expect(await ghost.find("video")).toMatchObject({ kind: "waiting" });

  const [alice, bob] = [await place.visitor({ node: 0 }), await place.visitor({ node: 0 })];
  alice.find();
  await alice.next("waiting");
  bob.find();
  const { pair } = await bob.next("matched");
  expect(await alice.next("matched")).toMatchObject({ pair });
  const metrics = await place.first.metrics();
  expect(metrics).toMatch(/^chatrandom_candidates_passed_over_total\{reason="unreachable"\} [12]$/m);
  expect(metrics).toMatch(/^chatrandom_matches_undone_total 0$/m);
});

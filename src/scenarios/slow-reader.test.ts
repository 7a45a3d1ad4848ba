import { expect, test } from "vitest";
import { memoryInUse } from "./memory.ts";
import { places } from "./place.ts";
import type { Place } from "./place.ts";
import type { Visitor } from "./visitor.ts";

const open = places();

/** Signals to a side that does not read, until its node has had enough. */
async function flood(place: Place, from: Visitor, pair: string): Promise<void> {
  const tooSlow = async () => {
    const all = await Promise.all(place.nodes.map(({ metrics }) => metrics()));
    return all.some((text) => text.includes('chatrandom_refused_total{reason="too_slow"} 1'));
  };
  for (let sent = 0; !(await tooSlow()); sent += 20) {
    if (sent > 2_000) throw new Error("a reader that does not read was kept");
    await signals(from, pair, 20);
  }
}

async function signals(from: Visitor, pair: string, count: number): Promise<void> {
  const data = { filling: "x".repeat(30_000) };
  for (let n = 0; n < count; n += 1) from.send({ type: "signal", pair, data });
  await from.nothing();
}

test("T8: a client that does not read is closed with 4401 once 1 MiB is unsent, and finds its pair again", async () => {
  const place = await open();
  const [alice, bob, pair] = await place.pair();
  bob.socket.pause();
  await flood(place, alice, pair);
  bob.socket.resume();
  expect((await bob.closed).code).toBe(4401);
  const again = await place.visitor({ resume: bob.welcome.resume });
  expect(again.welcome).toMatchObject({ resumed: true, state: "paired", pair });
});

test("T8: a client that does not read makes memory grow no further, whatever is sent to it", async () => {
  const place = await open();
  const [alice, bob, pair] = await place.pair();
  bob.socket.pause();
  const before = await memoryInUse();
  await flood(place, alice, pair);
  await signals(alice, pair, 500); // 15 MB; what is held for the absent is 2 MB of it (S2)
  expect((await memoryInUse()) - before).toBeLessThan(8e6);
});

test("T8: a client that does not read is cut when it pings for ever", async () => {
  const place = await open();
  const alice = await place.visitor();
  alice.socket.pause();
  const filling = Buffer.alloc(125);
  await place.until(() => {
    for (let n = 0; n < 1_000 && alice.socket.readyState === alice.socket.OPEN; n += 1)
      alice.socket.ping(filling);
    return place.connections === 0;
  });
  alice.socket.resume();
  await alice.closed;
});

/** The stranger's page may be anything; ours is none the worse for it. */
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { settle } from "./testing/fakes.ts";
import { TwoPages } from "./testing/two-pages.ts";

let pages: TwoPages;

beforeEach(() => {
  pages = new TwoPages();
});

test("signals out of role is dropped: an answerer's offer, an offerer's answer", async () => {
  pages.match();
  await pages.clock.pass(100);
  const sdp = "v=0\r\na=ice-ufrag:9.9\r\n";
  pages.offerer.call.receive({ description: { type: "offer", sdp }, generation: 9 });
  pages.answerer.call.receive({ description: { type: "answer", sdp }, generation: 1 });
  pages.answerer.call.receive({ restart: "connection", generation: 1 });
  await pages.clock.pass(60_000);
  expect(pages.connected).toBe(true);
  expect(pages.network.connections).toHaveLength(2);
});

test("signals of a past generation is dropped", async () => {
  pages.match();
  await pages.clock.pass(10_000);
  const late = [...pages.offerer.sent];
  const lateAnswers = [...pages.answerer.sent];
  pages.offerer.reload();
  await pages.clock.pass(100);
  for (const signal of late) pages.answerer.call.receive(signal);
  for (const signal of lateAnswers) pages.offerer.call.receive(signal);
  await pages.clock.pass(60_000);
  expect(pages.connected).toBe(true);
  expect(pages.network.connections).toHaveLength(4);
});

test("a flood costs a bounded amount of work, however much it is", async () => {
  pages.match();
  await pages.clock.pass(100);
  for (let i = 0; i < 1_000; i++) {
    pages.answerer.call.receive({
      description: { type: "offer", sdp: `v=0\r\na=ice-ufrag:x${i}\r\n` },
      generation: 2 + i,
    });
    pages.offerer.call.receive({ restart: "connection", generation: i });
    pages.offerer.call.receive({ restart: "ice", generation: 1 });
    await settle();
  }
  await pages.clock.pass(4_000);
  expect(pages.network.connections.length).toBeLessThan(12);
  expect(await pages.openConnections()).toBe(2);
});

test("a signal may be anything", async () => {
  pages.match();
  await pages.clock.pass(100);
  fc.assert(
    fc.property(fc.anything(), (data) => {
      pages.offerer.call.receive(data);
      pages.answerer.call.receive(data);
    }),
    { seed: 1, numRuns: 500 },
  );
  expect(pages.connected).toBe(true);
});

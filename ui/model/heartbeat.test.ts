import { beforeEach, expect, test, vi } from "vitest";
import { Heartbeat } from "./heartbeat.ts";
import type { Peer } from "./peer.ts";
import { BEAT_MS, SILENT_MS, STILL_MS } from "./pulse.ts";
import { FakeClock, settle } from "./testing/fakes.ts";
import type { Way } from "./way.ts";

const WAY: Way = { local: "host", remote: "srflx", transport: "udp" };

let clock: FakeClock;
const events = { heard: vi.fn(), silent: vi.fn(), way: vi.fn() };
let heartbeat: Heartbeat;
beforeEach(() => {
  clock = new FakeClock();
  vi.resetAllMocks();
  heartbeat = new Heartbeat(clock, events);
});

/** A connection that is up, over which nothing comes but what a test lets come. */
function connection() {
  const peer = {
    state: "connected",
    beat: vi.fn<Peer["beat"]>(),
    sendWholePicture: vi.fn(),
    received: vi.fn<Peer["received"]>(async () => null),
    way: vi.fn<Peer["way"]>(async () => null),
  };
  heartbeat.attach(peer as unknown as Peer);
  return peer;
}

test("beats at once and then regularly, until the connection is gone", async () => {
  const peer = connection();
  heartbeat.start(false);
  await clock.pass(2 * BEAT_MS);
  expect(peer.beat.mock.calls).toEqual([[false], [false], [false]]);
  heartbeat.detach();
  expect(clock.pending).toBe(0);
});

test("asks for a whole picture three times after some was missed, and gives a stranger a bounded number", async () => {
  const peer = connection();
  heartbeat.start(true);
  await clock.pass(3 * BEAT_MS);
  expect(peer.beat.mock.calls.flat()).toEqual([true, true, true, false]);
  for (let n = 0; n < 20; n += 1) heartbeat.hear(true);
  expect(peer.sendWholePicture).toHaveBeenCalledTimes(6);
});

test("silence is told once it has been heard, and again each beat for as long as nothing comes", async () => {
  connection();
  heartbeat.start(false);
  await clock.pass(10 * SILENT_MS);
  expect(events.silent).not.toHaveBeenCalled();
  heartbeat.hear(false);
  await clock.pass(SILENT_MS + BEAT_MS);
  expect(events.silent.mock.calls).toEqual([[false], [true]]);
  expect(heartbeat.alive).toBe(false);
  heartbeat.hear(false);
  await clock.pass(SILENT_MS);
  expect(events.silent.mock.calls.slice(2)).toEqual([[false]]);
});

test("silence is told sooner where nothing else is received either, and not while it is mended", async () => {
  const peer = connection();
  peer.received.mockResolvedValue(1_000);
  heartbeat.start(false);
  heartbeat.hear(false);
  heartbeat.mend();
  await clock.pass(SILENT_MS);
  expect(events.silent).not.toHaveBeenCalled();
  heartbeat.start(false);
  heartbeat.hear(false);
  await clock.pass(STILL_MS + BEAT_MS);
  expect(events.silent).toHaveBeenNthCalledWith(1, false);
});

test("the way is told at the start and every eighth beat", async () => {
  const peer = connection();
  peer.way.mockResolvedValue(WAY);
  heartbeat.start(false);
  await clock.pass(7 * BEAT_MS);
  expect(events.way.mock.calls).toEqual([[WAY]]);
  await clock.pass(BEAT_MS);
  expect(events.way).toHaveBeenCalledTimes(2);
});

test("what a connection that is gone says late counts for nothing", async () => {
  const before = connection();
  const [way, received] = [Promise.withResolvers<Way>(), Promise.withResolvers<number>()];
  before.way.mockReturnValue(way.promise);
  before.received.mockReturnValue(received.promise);
  heartbeat.start(false);
  heartbeat.hear(false);
  await clock.pass(STILL_MS);
  expect(before.received).toHaveBeenCalledTimes(3);
  heartbeat.detach();
  const after = connection();
  after.received.mockReturnValue(new Promise(() => {}));
  heartbeat.start(false);
  heartbeat.hear(false);
  await clock.pass(STILL_MS);
  way.resolve(WAY);
  // As if nothing had arrived over the new one since.
  received.resolve(1_000);
  await settle();
  expect([events.way.mock.calls, events.silent.mock.calls]).toEqual([[], []]);
});

import { expect, test } from "vitest";
import { CallRecord } from "./call-record.ts";
import type { EndOfCall, Last } from "./call-record.ts";
import type { CallState } from "./call-setup.ts";
import { FakeClock } from "./testing/fakes.ts";
import type { MediaState } from "./state.ts";
import type { Way } from "./way.ts";

const direct: Way = { local: "host", remote: "srflx", transport: "udp" };
const relayed: Way = { local: "relay", remote: "srflx", transport: "tls" };
interface End extends Last {
  why: EndOfCall;
  reachable: boolean;
  media: MediaState;
}
const quality = (made: CallRecord, change: Partial<End> = {}) => {
  const last: Last = { state: "connected", obstacle: "network", overdue: false, mode: "video", ...change };
  return made.quality(change.why ?? "stopped", last, change.reachable ?? true, change.media ?? "granted");
};
const record = (...states: CallState[]): CallRecord => {
  const made = new CallRecord(new FakeClock(), "p", "matched");
  for (const state of states) made.state(state);
  return made;
};

test("a call that went well says by which way, and when the first picture was there", async () => {
  const clock = new FakeClock();
  const made = new CallRecord(clock, "p", "matched");
  made.state("connecting");
  await clock.pass(300);
  made.state("connected");
  made.way(direct);
  await clock.pass(50.4);
  made.picture();
  await clock.pass(5_000);
  made.picture();
  expect(quality(made)).toEqual({
    type: "quality",
    pair: "p",
    outcome: "connected",
    way: direct,
    firstFrame: 350,
  });
});

test("nobody knows when a call began that goes on after a reload", () => {
  const made = new CallRecord(new FakeClock(), "p", "resumed");
  made.picture();
  expect(quality(made)).not.toHaveProperty("firstFrame");
});

test("a call that broke and went on says whether that was by another way", () => {
  const made = record("connected", "interrupted", "connected");
  made.way(direct);
  made.way(direct);
  expect(quality(made)).toMatchObject({ outcome: "connected", interrupted: true });
  expect(quality(made)).not.toHaveProperty("moved");
  made.way(relayed);
  expect(quality(made)).toMatchObject({ way: relayed, interrupted: true, moved: true });
  const better = record("connected");
  better.way(relayed);
  better.way(direct);
  expect(quality(better)).not.toHaveProperty("moved");
});

test.each<[Partial<End>, string, string]>([
  [{ state: "connecting" }, "abandoned", "left"],
  [{ state: "connecting", why: "next" }, "abandoned", "stranger_left"],
  [{ state: "connecting", why: "blocked" }, "abandoned", "stranger_left"],
  [{ state: "connecting", why: "lost" }, "failed", "stranger_gone"],
  [{ state: "connecting", reachable: false }, "failed", "server_gone"],
  [{ state: "connecting", overdue: true }, "failed", "no_way_through"],
  [{ state: "connecting", overdue: true, why: "next" }, "failed", "no_way_through"],
  [{ state: "connecting", overdue: true, obstacle: "stranger" }, "failed", "stranger_gone"],
  [{ state: "connecting", overdue: true, obstacle: "browser" }, "failed", "browser_refused"],
  [{ state: "connecting", overdue: true, why: "lost" }, "failed", "stranger_gone"],
  [{ state: "connecting", overdue: true, reachable: false }, "failed", "server_gone"],
  [{ state: "failed" }, "failed", "no_way_through"],
  [{ state: "failed", why: "next" }, "failed", "no_way_through"],
  [{ state: "failed", obstacle: "stranger" }, "failed", "stranger_gone"],
  [{ state: "failed", obstacle: "browser" }, "failed", "browser_refused"],
])("without a connection, and %j: %s, %s", (change, outcome, cause) => {
  expect(quality(record("connecting"), change)).toMatchObject({ outcome, cause });
});

test.each<[Partial<End>, string | undefined]>([
  [{ state: "interrupted" }, undefined],
  [{ state: "interrupted", why: "next" }, undefined],
  [{ state: "interrupted", why: "lost" }, "stranger_gone"],
  [{ state: "failed" }, "no_way_through"],
  [{ media: "denied" }, "media_denied"],
  [{ media: "missing" }, "media_missing"],
  [{ media: "busy" }, "media_busy"],
  [{ media: "denied", mode: "text" }, undefined],
])("once connected, and %j: %s", (change, cause) => {
  const told = quality(record("connected", "interrupted"), change);
  expect([told.outcome, told.cause]).toEqual(["connected", cause]);
});

/** What a visitor, and the node, are told of a call that is not there: from what becomes of the call itself. */
import { beforeEach, describe, expect, test } from "vitest";
import type { CallCause } from "../../src/protocol/messages.ts";
import { FAILED_AFTER_MS, OVERDUE_MS } from "./patience.ts";
import type { CallTrouble, Failure, Store } from "./state.ts";
import { createStore } from "./store.ts";
import { FakeBrowser } from "./testing/fake-browser.ts";
import { FakeNetwork } from "./testing/fake-connection.ts";
import { FakeNode } from "./testing/fake-node.ts";
import { FakeClock, settle } from "./testing/fakes.ts";

let clock: FakeClock;
let node: FakeNode;
let network: FakeNetwork;
let browser: FakeBrowser;
let store: Store;

beforeEach(() => {
  clock = new FakeClock();
  node = new FakeNode();
  network = new FakeNetwork();
  browser = new FakeBrowser(clock, () => node.open(), network);
  store = createStore(browser);
});

/** Whoever looks first gets the other's offer, and answers. */
const ROLES = ["offerer", "answerer"] as const;
type Role = (typeof ROLES)[number];

async function find(role: Role, strangerLooks: () => void): Promise<void> {
  const looks = [() => store.start("video"), strangerLooks];
  for (const look of role === "answerer" ? looks : looks.toReversed()) {
    await settle();
    look();
  }
  await settle();
}

/** Finds a stranger with a page like ours. */
async function meet(role: Role): Promise<void> {
  const other = createStore(new FakeBrowser(clock, () => node.open(), network));
  await find(role, () => other.start("video"));
}

/** Finds somebody whose page is asleep: it has said what it looks for, and nothing since. */
async function meetSleeper(role: Role): Promise<void> {
  const socket = node.open();
  socket.send(JSON.stringify({ type: "hello" }));
  const offer = "v=0\r\na=ice-ufrag:x\r\n";
  await find(role, () => socket.send(JSON.stringify({ type: "find", mode: "video", offer })));
}

const refuse = () => {
  throw new Error("too many");
};

/** What is told before the verdict, and by it. */
async function told(): Promise<(CallTrouble | null)[]> {
  await clock.pass(FAILED_AFTER_MS - 1_000);
  const before = store.trouble.value;
  await clock.pass(1_000);
  return [before, store.trouble.value];
}

/** What each page said to the node of its calls. */
const counted = () =>
  node.sockets.map((socket) => socket.all("quality").map(({ outcome, cause }) => [outcome, cause]));

const causes: [Failure, CallCause, (role: Role) => Promise<void>][] = [
  [
    "noWayThrough",
    "no_way_through",
    (role) => {
      network.works = false;
      return meet(role);
    },
  ],
  ["strangerSilent", "stranger_gone", meetSleeper],
  [
    "browserRefused",
    "browser_refused",
    (role) => {
      browser.newConnection = refuse;
      return meet(role);
    },
  ],
];

describe.each(causes)("what keeps a call from coming about (%s, %s)", (trouble, cause, bringAbout) => {
  test.each(ROLES)("is told the visitor after a while (%s)", async (role) => {
    await bringAbout(role);
    expect(await told()).toEqual([null, trouble]);
  });

  test.each(ROLES)("is told the node by who does not wait for that (%s)", async (role) => {
    await bringAbout(role);
    await clock.pass(OVERDUE_MS);
    expect([store.phase.value, store.trouble.value]).toEqual(["connecting", null]);
    store.next();
    expect(counted()[0]).toEqual([["failed", cause]]);
  });

  test.each(ROLES)("does not count for who leaves sooner (%s)", async (role) => {
    await bringAbout(role);
    await clock.pass(OVERDUE_MS - 100);
    store.stop();
    expect(counted()[0]).toEqual([["abandoned", "left"]]);
  });
});

test("both sides of a call that one of them leaves tell the same of it", async () => {
  network.works = false;
  await meet("answerer");
  await clock.pass(OVERDUE_MS);
  store.next();
  await settle();
  store.stop();
  expect(counted()).toEqual([
    [
      ["failed", "no_way_through"],
      ["abandoned", "left"],
    ],
    [
      ["failed", "no_way_through"],
      ["abandoned", "stranger_left"],
    ],
  ]);
});

test.each(ROLES)("a call that was there is mended, and broken when that was in vain (%s)", async (role) => {
  await meet(role);
  await clock.pass(10);
  expect([store.phase.value, store.trouble.value]).toEqual(["talking", null]);
  network.works = false;
  network.cut("failed");
  await clock.pass(1_000);
  expect(await told()).toEqual(["reconnecting", "broken"]);
});

test("a call that was there is refused where the browser makes no more for it", async () => {
  await meet("offerer");
  await clock.pass(10);
  network.works = false;
  browser.newConnection = refuse;
  network.cut("failed");
  await clock.pass(1_000);
  expect(await told()).toEqual(["reconnecting", "browserRefused"]);
});

test("a call that was there and is left while it is mended was just left", async () => {
  await meet("answerer");
  await clock.pass(10);
  network.works = false;
  network.cut("failed");
  await clock.pass(OVERDUE_MS + 1_000);
  expect(store.trouble.value).toBe("reconnecting");
  store.stop();
  expect(counted()).toEqual([[["connected", undefined]], [["connected", undefined]]]);
});

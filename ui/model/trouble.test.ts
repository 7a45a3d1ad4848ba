/** What a visitor is told of a call without a connection: from what becomes of the call itself. */
import { beforeEach, expect, test } from "vitest";
import { FAILED_AFTER_MS } from "./patience.ts";
import type { CallTrouble, Store } from "./state.ts";
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

async function meet(role: Role, strangerLooks: () => void): Promise<void> {
  const looks = [() => store.start("video"), strangerLooks];
  for (const look of role === "answerer" ? looks : looks.toReversed()) {
    await settle();
    look();
  }
  await settle();
}

function stranger(): Store {
  return createStore(new FakeBrowser(clock, () => node.open(), network));
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

test.each(ROLES)("no way through: the stranger said something, and nothing connects (%s)", async (role) => {
  network.works = false;
  const other = stranger();
  await meet(role, () => other.start("video"));
  expect(await told()).toEqual([null, "noWayThrough"]);
});

test.each(ROLES)("a stranger who never says a word is silent (%s)", async (role) => {
  const socket = node.open();
  socket.send(JSON.stringify({ type: "hello" }));
  const offer = "v=0\r\na=ice-ufrag:x\r\n";
  await meet(role, () => socket.send(JSON.stringify({ type: "find", mode: "video", offer })));
  expect(await told()).toEqual([null, "strangerSilent"]);
});

test.each(ROLES)(
  "a browser that makes no connection refuses, whatever the stranger says (%s)",
  async (role) => {
    browser.newConnection = refuse;
    const other = stranger();
    await meet(role, () => other.start("video"));
    expect(await told()).toEqual([null, "browserRefused"]);
  },
);

test.each(ROLES)("a call that was there is mended, and broken when that was in vain (%s)", async (role) => {
  const other = stranger();
  await meet(role, () => other.start("video"));
  await clock.pass(10);
  expect([store.phase.value, store.trouble.value]).toEqual(["talking", null]);
  network.works = false;
  network.cut("failed");
  await clock.pass(1_000);
  expect(await told()).toEqual(["reconnecting", "broken"]);
});

test("a call that was there is mended, and refused where the browser makes no more for it", async () => {
  const other = stranger();
  await meet("offerer", () => other.start("video"));
  await clock.pass(10);
  network.works = false;
  browser.newConnection = refuse;
  network.cut("failed");
  await clock.pass(1_000);
  expect(await told()).toEqual(["reconnecting", "browserRefused"]);
});

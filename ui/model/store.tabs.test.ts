/** Two tabs of one browser, and a node that counts each of them. */
import { beforeEach, expect, test } from "vitest";
import type { Store } from "./state.ts";
import { createStore } from "./store.ts";
import { FakeBrowser } from "./testing/fake-browser.ts";
import { FakeClock, FakeSockets, fakeStorage, settle } from "./testing/fakes.ts";
import { matched, waiting, welcome } from "./testing/messages.ts";

class Tab extends FakeBrowser {
  readonly sockets: FakeSockets;
  store!: Store;

  constructor(clock: FakeClock, sockets = new FakeSockets()) {
    super(clock, sockets.open);
    this.sockets = sockets;
  }

  async opens(online: number): Promise<void> {
    this.store = createStore(this);
    this.sockets.last.opens();
    await this.hears(welcome({ online }));
  }

  async looks(): Promise<void> {
    this.store.start("text");
    await settle();
  }

  async hears(message: Parameters<FakeSockets["last"]["says"]>[0]): Promise<void> {
    this.sockets.last.says(message);
    await settle();
  }

  get numbers() {
    return [this.store.online.value, this.store.othersLooking.value];
  }
}

let one: Tab;
let other: Tab;

beforeEach(() => {
  const clock = new FakeClock();
  [one, other] = [new Tab(clock), new Tab(clock)];
  other.siteStorage = one.siteStorage;
  other.channels = one.channels;
});

test("each learns of the other while they look, and counts it as nobody", async () => {
  await one.opens(1);
  await other.opens(2);
  expect([one.numbers, other.numbers]).toEqual([
    [1, null],
    [1, null],
  ]);
  await one.looks();
  await one.hears(waiting({ online: 2, waiting: 1 }));
  expect([one.store.otherTab.value, other.store.otherTab.value]).toEqual([false, true]);
  await other.looks();
  await other.hears(waiting({ online: 3, waiting: 3 }));
  await one.hears({ type: "status", online: 3, waiting: 3 });
  // The third is somebody.
  expect([one.numbers, other.numbers]).toEqual([
    [2, 1],
    [2, 1],
  ]);
  expect([one.store.otherTab.value, other.store.otherTab.value]).toEqual([true, true]);

  await other.hears(matched("p", { mode: "text" }));
  await one.hears({ type: "status", online: 3, waiting: 1 });
  expect([one.store.otherTab.value, one.numbers]).toEqual([true, [2, 0]]);
  other.leave();
  await settle();
  expect([one.store.otherTab.value, one.numbers]).toEqual([false, [2, 0]]);
  await one.hears({ type: "status", online: 2, waiting: 1 });
  expect(one.numbers).toEqual([2, 0]);
});

test("a tab that the node does not know, or whose search it refused, is not in its numbers", async () => {
  await one.opens(1);
  await other.opens(2);
  await other.looks();
  await other.hears({ type: "error", code: "too_many_sessions", message: "" });
  await one.looks();
  await one.hears(waiting({ online: 3, waiting: 2 }));
  expect(one.numbers).toEqual([2, 1]);
  other.sockets.last.breaks();
  await settle();
  await one.hears({ type: "status", online: 2, waiting: 2 });
  expect([one.numbers, one.store.otherTab.value]).toEqual([[2, 1], false]);
});

test("pages that cannot keep the token may meet: to them another tab is somebody", async () => {
  other.siteStorage = fakeStorage();
  Object.assign(other, { randomToken: () => "a token of its own" });
  await one.opens(1);
  await other.opens(2);
  await one.looks();
  await one.hears(waiting({ online: 2, waiting: 1 }));
  expect([other.store.otherTab.value, other.numbers]).toEqual([false, [2, null]]);
});

test("a browser without channels counts as the node does, and says nothing of tabs", async () => {
  one.channels = other.channels = null;
  await one.opens(1);
  await other.opens(2);
  await one.looks();
  await one.hears(waiting({ online: 2, waiting: 1 }));
  expect([one.numbers, other.numbers, other.store.otherTab.value]).toEqual([[2, 0], [2, null], false]);
});

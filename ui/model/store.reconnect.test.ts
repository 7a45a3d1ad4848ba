/** One page whose socket breaks. */
import { beforeEach, expect, test } from "vitest";
import type { Welcome } from "../../src/protocol/messages.ts";
import type { Store } from "./state.ts";
import { createStore } from "./store.ts";
import { FakeBrowser } from "./testing/fake-browser.ts";
import { FakeClock, FakeSockets, settle } from "./testing/fakes.ts";
import { matched, waiting, welcome } from "./testing/messages.ts";

let clock: FakeClock;
let sockets: FakeSockets;
let browser: FakeBrowser;
let store: Store;

beforeEach(() => {
  clock = new FakeClock();
  sockets = new FakeSockets();
  browser = new FakeBrowser(clock, sockets.open);
  store = createStore(browser);
});

function open(change: Partial<Welcome> = {}): void {
  sockets.last.opens();
  sockets.last.says(welcome(change));
}

async function search(): Promise<void> {
  open();
  store.start("video");
  await settle();
  sockets.last.says(waiting());
}

/** The node breaks off; the page comes back to a session in the state given. */
async function reopen(change: Partial<Welcome> = {}): Promise<void> {
  sockets.last.breaks();
  await clock.until(() => sockets.live === 1);
  open({ resumed: true, ...change });
  await settle();
}

const offer = "v=0\r\na=ice-ufrag:x\r\n";

test("S2, S3: a call goes on", async () => {
  await search();
  sockets.last.says(matched("p", { offer }));
  await settle();
  const before = browser.network.open;
  await reopen({ state: "paired", pair: "p" });
  expect(sockets.last.all("hello")[0]?.resume).toBe("token");
  expect([store.phase.value, store.server.value.state]).toEqual(["connecting", "open"]);
  expect(browser.network.open).toEqual(before);
  expect(sockets.last.all("find")).toEqual([]);
});

test("S4: a call whose session ended meanwhile is lost, and the next is looked for", async () => {
  await search();
  sockets.last.says(matched("p", { offer }));
  await reopen({ resumed: false });
  expect([store.phase.value, store.ended.value]).toEqual(["waiting", "lost"]);
  expect(sockets.last.all("find")).toHaveLength(1);
});

test("a search goes on", async () => {
  await search();
  await reopen({ state: "waiting" });
  expect(store.phase.value).toBe("waiting");
  expect(sockets.last.all("find")).toHaveLength(1);
});

test("a search that goes on says so: a match that is on its way is not taken for one to go on from", async () => {
  await search();
  await reopen({ state: "waiting" });
  expect(sockets.last.all("find")).toMatchObject([{ again: true }]);
  await reopen({ state: "idle" });
  expect(sockets.last.all("find")[0]).not.toHaveProperty("again");
});

test("a match that nobody was there to hear is taken up", async () => {
  await search();
  await reopen({ state: "paired", pair: "p", role: "offerer", common: { interests: ["go"] } });
  expect([store.phase.value, store.common.value?.interests]).toEqual(["connecting", ["go"]]);
  const [signal] = sockets.last.all("signal");
  expect(signal).toMatchObject({ pair: "p", data: { description: { type: "offer" }, generation: 2 } });
});

test("Next pressed meanwhile is Next", async () => {
  await search();
  sockets.last.says(matched("p", { offer }));
  sockets.last.breaks();
  store.next();
  expect(store.phase.value).toBe("waiting");
  await clock.until(() => sockets.live === 1);
  open({ resumed: true, state: "paired", pair: "p", role: "answerer" });
  await settle();
  expect([store.phase.value, sockets.last.all("find").length]).toEqual(["waiting", 1]);
});

test("Stop pressed meanwhile is Stop", async () => {
  await search();
  sockets.last.says(matched("p", { offer }));
  sockets.last.breaks();
  store.stop();
  await clock.until(() => sockets.live === 1);
  open({ resumed: true, state: "paired", pair: "p" });
  expect([store.phase.value, sockets.last.sent.at(-1)]).toEqual(["home", { type: "leave" }]);
});

test("a report made meanwhile arrives, before the next search", async () => {
  await search();
  sockets.last.says(matched("p", { offer }));
  sockets.last.breaks();
  store.report("spam", "  sells things  ");
  await clock.until(() => sockets.live === 1);
  open({ resumed: true, state: "paired", pair: "p" });
  await settle();
  expect(sockets.last.sent.slice(1)).toMatchObject([
    { type: "report", pair: "p", reason: "spam", details: "sells things" },
    { type: "quality", pair: "p", outcome: "failed", cause: "server_gone" },
    { type: "find" },
  ]);
});

/** Two pages, or three, with everything between them but the DOM, the network and a real node. */
import { beforeEach, expect, test } from "vitest";
import type { Store } from "./state.ts";
import { createStore } from "./store.ts";
import { FakeBrowser } from "./testing/fake-browser.ts";
import { FakeNetwork } from "./testing/fake-connection.ts";
import { FakeNode } from "./testing/fake-node.ts";
import { FakeClock, settle } from "./testing/fakes.ts";

let clock: FakeClock;
let node: FakeNode;
let network: FakeNetwork;
let alice: { browser: FakeBrowser; store: Store };
let bob: { browser: FakeBrowser; store: Store };

const visitor = () => {
  const browser = new FakeBrowser(clock, () => node.open(), network);
  return { browser, store: createStore(browser) };
};

async function talk(mode: "video" | "text" = "video"): Promise<void> {
  await settle();
  bob.store.start(mode);
  await settle();
  alice.store.start(mode);
  await clock.pass(10);
  expect([alice.store.phase.value, bob.store.phase.value]).toEqual(["talking", "talking"]);
}

beforeEach(() => {
  clock = new FakeClock();
  node = new FakeNode();
  network = new FakeNetwork();
  alice = visitor();
  bob = visitor();
});

test("talk: picture, words, typing, what is switched off", async () => {
  await talk();
  for (const { store } of [alice, bob]) {
    expect(store.remoteStream.value?.getTracks().map(({ kind }) => kind)).toEqual(["audio", "video"]);
    expect([store.chatOpen.value, store.trouble.value]).toEqual([true, null]);
    expect(store.common.value).toEqual({ interests: ["go"] });
  }
  expect(alice.store.send("hello")).toBe(true);
  bob.store.typing();
  expect(bob.store.chat.value).toMatchObject([{ from: "stranger", text: "hello" }]);
  expect(alice.store.strangerTyping.value).toBe(true);
  expect(bob.store.strangerCameraOn.value).toBe(true);
});

test("a camera that is switched changes what the call sends, and what the next one will", async () => {
  await talk();
  await clock.pass(5_000);
  const sent = () =>
    network.open
      .flatMap(({ transceivers }) => transceivers)
      .filter(({ sender }) => sender.track?.kind === "video");
  expect(sent()).toHaveLength(4);
  alice.store.setCamera(false);
  expect([bob.store.strangerCameraOn.value, alice.store.cameraOn.value]).toEqual([false, false]);
  expect(sent()).toHaveLength(2);
  alice.store.setCamera(true);
  await settle();
  expect(bob.store.strangerCameraOn.value).toBe(true);
  expect(sent()).toHaveLength(4);
});

test("an offer that did not travel is not taken for one that did", async () => {
  await talk();
  await clock.pass(5_000);
  const common = { interests: [] };
  node.sockets[0]?.says({
    type: "matched",
    pair: "x",
    mode: "video",
    role: "offerer",
    offerUsed: true,
    common,
  });
  await settle();
  const signals = node.sockets[0]?.all("signal").filter(({ pair }) => pair === "x");
  expect(signals?.[0]?.data).toMatchObject({ description: { type: "offer" }, generation: 2 });
});

test("the match used the offer that came with find: no offer was relayed", async () => {
  await talk();
  const signals = node.sockets.flatMap((socket) => socket.all("signal").map(({ data }) => data));
  const descriptions = signals.filter((data) => "description" in data);
  expect(descriptions).toMatchObject([{ description: { type: "answer" }, generation: 1 }]);
});

test("one spare each is made while they talk, and its ports stay closed", async () => {
  await talk();
  // Theirs, and the spare of the one who answered, which goes when the call has begun.
  expect(network.open).toHaveLength(3);
  await clock.pass(5_000);
  expect(network.open).toHaveLength(4);
  expect(network.open.filter(({ localUfrag }) => localUfrag === "")).toHaveLength(2);
  alice.store.stop();
  bob.store.stop();
  await clock.pass(1_000);
  expect(network.open).toEqual([]);
});

test("Next finds a third, the one who was left looks on", async () => {
  const carol = visitor();
  await talk();
  bob.store.send("hi");
  carol.store.start("video");
  await clock.pass(2_000);
  alice.store.next();
  // The offer lay ready: the find went out with the click itself.
  expect(node.sockets[0]?.all("find").at(-1)?.offer).toBeDefined();
  await clock.pass(10);
  expect([alice.store.phase.value, carol.store.phase.value]).toEqual(["talking", "talking"]);
  expect([bob.store.phase.value, bob.store.ended.value, alice.store.ended.value]).toEqual([
    "waiting",
    "next",
    null,
  ]);
  expect(bob.store.chat.value).toHaveLength(1);
  expect(alice.store.chat.value).toEqual([]);
  expect(alice.browser.devices.asked).toHaveLength(1);
  await clock.pass(5_000);
  expect(network.open).toHaveLength(5);
});

test("many a Next leaks nothing", async () => {
  const others = [visitor(), visitor(), visitor()];
  await talk();
  for (const { store } of others) store.start("video");
  await clock.pass(2_000);
  for (let i = 0; i < 50; i++) {
    alice.store.next();
    alice.store.next();
    await clock.pass(i % 3 === 0 ? 2_000 : 3);
  }
  for (const { store } of [alice, bob, ...others]) store.stop();
  await clock.pass(1_000);
  expect(network.open).toEqual([]);
  expect(network.connections.length).toBeGreaterThan(50);
});

test.each(["block", "report"] as const)(
  "M3: %s ends the call, and both look for somebody else",
  async (deed) => {
    await talk();
    if (deed === "block") alice.store.block();
    else alice.store.report("harassment");
    await settle();
    expect([alice.store.ended.value, bob.store.ended.value]).toEqual([null, "blocked"]);
    expect([alice.store.phase.value, bob.store.phase.value]).toEqual(["waiting", "waiting"]);
    expect(node.sockets[0]?.sent.map(({ type }) => type).slice(-3)).toContain(deed);
    expect(alice.store.reported.value).toBe(deed === "report");
    await clock.pass(1_000);
    expect(network.open).toHaveLength(2);
    const carol = visitor();
    await settle();
    carol.store.start("video");
    await clock.pass(10);
    expect(carol.store.phase.value).toBe("talking");
  },
);

test.each(["alice", "bob"] as const)("S3: %s loads the page anew and the two go on talking", async (who) => {
  await talk();
  const visitors = { alice, bob };
  const { browser } = visitors[who];
  let store: Store = visitors[who].store;
  // More than once: were the generation not kept, the other side would take the second one's offer for a late one.
  for (let times = 0; times < 3; times++) {
    await clock.pass(5_000);
    browser.leave();
    store = createStore(browser);
    await clock.pass(100);
    expect([store.phase.value, store.common.value]).toEqual(["talking", { interests: ["go"] }]);
  }
  const other = who === "alice" ? bob : alice;
  expect([store.phase.value, other.store.phase.value]).toEqual(["talking", "talking"]);
  expect(store.send("back")).toBe(true);
  expect(other.store.chat.value.map(({ text }) => text)).toEqual(["back"]);
  expect(store.media.value).toBe("granted");
});

test("a second tab of the same browser is a session of its own", async () => {
  await talk();
  // Browsers give a duplicated tab a copy of what the tab has stored.
  const duplicate = new FakeBrowser(clock, () => node.open(), network, alice.browser.tabStorage.entries);
  createStore(duplicate);
  await settle();
  expect(node.sockets.at(-1)?.all("hello")).toMatchObject([{ device: "0123456789abcdef-0" }]);
  expect(node.sockets.at(-1)?.all("hello")[0]?.resume).toBeUndefined();
  expect(node.sessions).toHaveLength(3);
  expect(alice.store.phase.value).toBe("talking");
});

test("the way breaks while the node is away: the call is healed when it is back", async () => {
  await talk();
  await clock.pass(20_000);
  const socket = node.sockets[0];
  const before = socket?.all("signal").length;
  socket?.close();
  socket?.breaks();
  network.cut("failed");
  await clock.until(() => alice.store.server.value.state === "open");
  await clock.pass(100);
  expect([alice.store.trouble.value, bob.store.trouble.value]).toEqual([null, null]);
  expect([alice.store.phase.value, socket?.all("signal").length]).toEqual(["talking", before]);
});

test("an undone match and the next one after it", async () => {
  await talk();
  const pair = node.sessions[0]?.pair;
  if (!pair) throw new Error("no pair");
  node.undo(pair);
  expect([alice.store.phase.value, bob.store.phase.value]).toEqual(["waiting", "waiting"]);
  alice.store.setPreferences({ interests: ["go"], languages: [], strict: false, hideAddress: false });
  await clock.pass(100);
  expect([alice.store.phase.value, bob.store.phase.value]).toEqual(["talking", "talking"]);
});

test("trouble is shown while it lasts", async () => {
  await talk();
  network.works = false;
  network.cut("failed");
  await clock.pass(1_000);
  expect([alice.store.phase.value, alice.store.trouble.value]).toEqual(["talking", "reconnecting"]);
  await clock.pass(30_000);
  expect(alice.store.trouble.value).toBe("broken");
  network.works = true;
  await clock.pass(20_000);
  expect([alice.store.trouble.value, alice.store.chatOpen.value]).toEqual([null, true]);
  alice.store.next();
  expect(alice.store.trouble.value).toBeNull();
});

/** One page whose visitor, or whose place, hides addresses; and what it tells of its calls. */
import { beforeEach, expect, test } from "vitest";
import type { Welcome } from "../../src/protocol/messages.ts";
import type { Store } from "./state.ts";
import { createStore } from "./store.ts";
import { FakeBrowser } from "./testing/fake-browser.ts";
import { FakeClock, FakeSockets, settle } from "./testing/fakes.ts";
import { matched, waiting, welcome } from "./testing/messages.ts";

const TURN = [{ urls: ["turn:192.0.2.7"], username: "u", credential: "c" }];
const OFFER = "v=0\r\na=ice-ufrag:x\r\nm=application 9 UDP 0\r\n";

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
  sockets.last.says(welcome({ iceServers: TURN, ...change }));
}
const hide = (hideAddress: boolean) => store.setPreferences({ ...store.preferences.value, hideAddress });
const policies = () => browser.network.open.map(({ configuration }) => configuration.iceTransportPolicy);

test("a hidden address: relays alone are asked, and the node is told so with all that goes out", async () => {
  open();
  hide(true);
  expect([store.addressHidden.value, store.relayOffered.value]).toEqual(["byVisitor", true]);
  store.start("text");
  await settle();
  expect(policies()).toEqual(["relay"]);
  expect(sockets.last.all("find")).toMatchObject([{ relay: true }]);
  sockets.last.says(matched("p", { mode: "text", offer: OFFER }));
  await clock.pass(100);
  const signals = sockets.last.all("signal");
  expect(signals.length).toBeGreaterThan(0);
  expect(signals.every(({ relay }) => relay === true)).toBe(true);
  // The fake browser finds addresses of its own all the same.
  expect(JSON.stringify(signals)).not.toMatch(/192\.0\.2|typ host/);
});

test("an open address is nothing to tell the node", async () => {
  open();
  store.start("text");
  await settle();
  sockets.last.says(matched("p", { mode: "text", offer: OFFER }));
  await clock.pass(1_000);
  expect(policies()).toEqual(["all"]);
  for (const message of [...sockets.last.all("find"), ...sockets.last.all("signal")])
    expect(message).not.toHaveProperty("relay");
  expect(JSON.stringify(sockets.last.all("signal"))).toContain("typ host");
});

test("the place's word stands above the visitor's, also when it comes with a later welcome", async () => {
  open({ iceTransportPolicy: "relay" });
  expect(store.addressHidden.value).toBe("byPlace");
  store.start("text");
  await settle();
  expect(policies()).toEqual(["relay"]);
  expect(sockets.last.all("find")).toMatchObject([{ relay: true }]);
});

test("a private address is told where the node sees one, and nowhere else", async () => {
  for (const lan of [true, false]) {
    sockets = new FakeSockets();
    browser = new FakeBrowser(clock, sockets.open);
    const { newConnection } = browser.network;
    browser.newConnection = (configuration) => {
      const connection = newConnection(configuration);
      const gathered = () => {
        const candidate = "candidate:1 1 udp 1 192.168.1.5 9 typ host";
        connection.onicecandidate?.({ candidate: { candidate, sdpMid: "0" } } as RTCPeerConnectionIceEvent);
      };
      queueMicrotask(() => queueMicrotask(gathered));
      return connection;
    };
    store = createStore(browser);
    open({ settings: { lan } });
    store.start("text");
    await settle();
    sockets.last.says(matched("p", { mode: "text", offer: OFFER }));
    await clock.pass(100);
    expect(JSON.stringify(sockets.last.all("signal")).includes("192.168.1.5")).toBe(lan);
  }
});

test("a private address is told no more by who has left home in mid-call", async () => {
  open({ settings: { lan: true } });
  store.start("text");
  await settle();
  sockets.last.says(matched("p", { mode: "text", offer: OFFER }));
  await clock.pass(100);
  sockets.last.breaks();
  await clock.until(() => sockets.live === 1);
  open({ settings: { lan: false }, resumed: true, state: "paired", pair: "p" });
  await clock.pass(100);
  for (const address of ["192.168.1.5", "198.51.100.7"]) {
    const candidate = `candidate:1 1 udp 1 ${address} 9 typ host`;
    const event = { candidate: { candidate, sdpMid: "0" } } as RTCPeerConnectionIceEvent;
    for (const connection of browser.network.open) connection.onicecandidate?.(event);
  }
  await clock.pass(100);
  const told = JSON.stringify(sockets.last.all("signal"));
  expect([told.includes("198.51.100.7"), told.includes("192.168.1.5")]).toEqual([true, false]);
});

test("the switch counts from the next call on, and is kept for the next visit", async () => {
  open();
  store.start("text");
  await settle();
  sockets.last.says(matched("p", { mode: "text", offer: OFFER }));
  await clock.pass(1_000);
  hide(true);
  sockets.last.says({ type: "ice", iceServers: TURN });
  expect(policies()).toEqual(["all"]);
  const before = sockets.last.all("signal").length;
  await clock.pass(10_000);
  const later = sockets.last.all("signal").slice(before);
  expect(later.length).toBeGreaterThan(0);
  expect(later.every(({ relay }) => relay === undefined)).toBe(true);
  store.next();
  await clock.pass(2_000);
  expect(policies()).toEqual(["relay"]);
  expect(sockets.last.all("find").at(-1)).toMatchObject({ relay: true });
  expect(createStore(browser).preferences.value.hideAddress).toBe(true);
});

test("an offer that was made with an open address is thrown away while waiting", async () => {
  open();
  store.start("text");
  await settle();
  sockets.last.says(waiting());
  hide(true);
  await settle();
  const [first, second] = sockets.last.all("find");
  expect([first?.relay, second?.relay]).toEqual([undefined, true]);
  expect(second?.offer).not.toBe(first?.offer);
  expect(policies()).toEqual(["relay"]);
  // A match that was made of the old offer builds another.
  sockets.last.says(matched("p", { mode: "text", role: "offerer", offerUsed: false }));
  await clock.pass(100);
  expect(policies()).toEqual(["relay"]);
});

test("without a relay nobody is found in vain, and the page says why", async () => {
  open({ iceServers: [{ urls: "stun:192.0.2.7" }] });
  hide(true);
  store.start("video");
  await settle();
  expect([store.phase.value, store.trouble.value, browser.devices.asked]).toEqual(["home", "noRelay", []]);
  hide(false);
  expect(store.trouble.value).toBeNull();
  store.start("text");
  await settle();
  sockets.last.says(waiting());
  hide(true);
  await settle();
  expect([store.phase.value, store.trouble.value, sockets.last.all("find").length]).toEqual([
    "home",
    "noRelay",
    1,
  ]);
  expect(sockets.last.sent.at(-1)).toEqual({ type: "leave" });
});

test("without a relay, which shows only once the node is there, the search ends", async () => {
  hide(true);
  store.start("text");
  await settle();
  expect(store.phase.value).toBe("waiting");
  open({ iceServers: [] });
  await settle();
  expect([store.phase.value, store.trouble.value, sockets.last.all("find")]).toEqual(["home", "noRelay", []]);
});

test("a call is told of once, when it is over, after what is in more of a hurry", async () => {
  open();
  store.start("text");
  await settle();
  sockets.last.says(matched("p", { mode: "text", offer: OFFER }));
  await settle();
  browser.network.connections.at(-1)?.move("connected");
  await clock.pass(2_000);
  store.next();
  await settle();
  const [find, quality] = sockets.last.sent.slice(-2);
  expect(find?.type).toBe("find");
  expect(quality).toMatchObject({ type: "quality", pair: "p", outcome: "connected" });
  store.stop();
  expect(sockets.last.all("quality")).toHaveLength(1);
});

test("a page that goes away tells of the call it had, and nothing of one that was not there yet", async () => {
  open();
  store.start("text");
  await settle();
  sockets.last.says(matched("p", { mode: "text", offer: OFFER }));
  await settle();
  browser.network.connections.at(-1)?.move("connected");
  browser.leave();
  expect(sockets.last.all("quality")).toMatchObject([{ pair: "p", outcome: "connected" }]);

  store = createStore(browser);
  open();
  store.start("text");
  await settle();
  sockets.last.says(matched("q", { mode: "text", offer: OFFER }));
  await settle();
  browser.leave();
  expect(sockets.last.all("quality")).toEqual([]);
});

test("the first picture is timed from the match", async () => {
  open();
  store.start("video");
  await settle();
  sockets.last.says(matched("p", { offer: OFFER }));
  await settle();
  browser.network.connections.at(-1)?.move("connected");
  await clock.pass(400);
  store.pictureShown();
  sockets.last.says({ type: "ended", pair: "p", reason: "left" });
  expect(sockets.last.all("quality")).toMatchObject([{ outcome: "connected", firstFrame: 400 }]);
});
